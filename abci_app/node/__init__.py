"""All that touches the machine: sockets, servers, metrics, configuration."""
