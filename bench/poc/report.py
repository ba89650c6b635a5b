# ruff: noqa: E501, ISC004, SIM905 - the text of the page, a sentence a line
"""`docs/proof-of-compute.md` and its plots, out of the results alone."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from bench.plots import Series, loglog_svg

Results = dict[str, Any]
ADVANTAGE_BAR, SKIP_ALL_BAR, OUTSIDE_BAR = 1.10, 0.03, 0.10


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def speed_table(found: Results) -> str:
    columns = ("size", "dtype", "device", "kernels", "batch_size", "generation_per_s", "validation_per_s")
    shares = ("validation_share", "outside_share")
    rates = table((*columns, *shares), ([row[c] for c in (*columns, *shares)] for row in found["rows"]))
    against = table(
        ("size", "ours, float32", "plain transformer, float16, forward alone", "ratio", "reference's best"),
        (
            (r["size"], r["ours_per_s"], r["plain_float16_per_s"], r["ratio"], r["reference_best_per_s"])
            for r in found["against_plain"]
        ),
    )
    return f"{rates}\n\n{against}" if found["against_plain"] else rates


def wrapped(page: str) -> str:
    """Prose in lines of 120; tables, headings, lists and pictures as they are."""
    lines = page.splitlines()
    keep = [line[:1] in {"|", "#", "!", "-", " ", ""} for line in lines]
    return "\n".join(
        line if kept else textwrap.fill(line, 120, break_long_words=False, break_on_hyphens=False)
        for line, kept in zip(lines, keep, strict=True)
    )


def bars_svg(title: str, rows: Sequence[tuple[str, float]]) -> str:
    """Horizontal bars on [0, 1]."""
    height = 44 + 16 * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 {height}" font-family="sans-serif"'
        f' font-size="11"><rect width="680" height="{height}" fill="white"/>',
        f'<text x="10" y="20" font-size="15">{escape(title)}</text>',
    ]
    for i, (name, value) in enumerate(rows):
        y, width = 44 + 16 * i, max(1.0, 380 * min(1.0, abs(value)))
        parts.append(f'<text x="230" y="{y}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect x="236" y="{y - 9}" width="{width:.1f}" height="10" fill="#1b6ca8"/>')
        parts.append(f'<text x="{242 + width:.0f}" y="{y}">{value:.3f}</text>')
    return "\n".join([*parts, "</svg>", ""])


def write(results: Results, folder: Path) -> None:
    """The page and `proof-of-compute-*.svg` beside it."""
    sections = [
        _head(results),
        _summary(results),
        _correlations(results),
        _earnings(results),
        _surrogates(results),
    ]
    sections += [_acceptance(results), _agreement(results), _verdicts(results), _speed(results), LIMITS]
    (folder / "proof-of-compute.md").write_text(wrapped("\n\n".join(sections)) + "\n")
    rows = [(row["name"], row["rho"]) for row in results["correlations"]["small"]["rows"]]
    (folder / "proof-of-compute-shortcuts.svg").write_text(
        bars_svg("How much of the true z a shortcut knows (small)", rows)
    )
    series = [
        Series(f"{size}: {row['one']} / {row['other']}", [tuple(point) for point in row["tail"]])
        for size in ("tiny", "small")
        for row in results["agreement"][size]["rows"]
        if row["one"] == "float16" and row["tail"] and "batch" not in row["other"]
    ]
    (folder / "proof-of-compute-tails.svg").write_text(
        loglog_svg("Honest differences in float16", "difference of z", "share of nonces beyond", series)
    )


def _head(results: Results) -> str:
    facts = results["machine"]
    return f"""# Proof of compute: what was shown

Every claim about the puzzle of `mlnode/pow.py`, measured. All tables come from `docs/proof-of-compute.json`, which
`make bench-poc-claims` writes anew (an hour on one core; `ARGS='--only agreement'` for a part); this page is written by
`python -m bench.poc report`. `make bench-poc` prints rates alone. The same claims stand as tests, at small sizes, in
`tests/mlnode/test_pow_claims.py`.

Machine: {facts["cores"]} cores ({facts["cpu"]}) shared with other programs, torch {facts["libraries"]["torch"]}, one thread
a measurement. **No GPU was at hand**: what concerns one is said at the end. Sizes: `tiny` and `small` are the presets, `wide`
is a network of dim 1024, 16 layers and 243 million weights. z is N(0, 1); differences are differences of z."""


def _worst(results: Results) -> tuple[float, str]:
    found = [
        (row["best"]["advantage"], f"{row['name']}, {network}")
        for network, verdict in results["verdicts"].items()
        for row in verdict["rows"]
    ]
    return max(found)


def _summary(results: Results) -> str:
    skip = max(
        (abs(rho) for size in results["correlations"].values() for rho in size["rows"][0]["rho_by_seed"]),
    )
    advantage, who = _worst(results)
    rates = max(
        (abs(row["standard_errors"]) for size in results["acceptance"].values() for row in size["rows"]),
    )
    verdicts = results["verdicts"]
    caught = min(
        row["caught"] for v in verdicts.values() for row in v["rows"] if row["name"] in MUST_BE_CAUGHT
    )
    failed = max(v["honest_failed"] for v in verdicts.values())
    speeds = results["speed"]
    small = min(r["outside_share"] for r in speeds["rows"] if r["size"] == "small")
    wider = min(r["outside_share"] for r in speeds["rows"] if r["size"] == "dev")
    ratio = min(r["ratio"] for r in speeds["against_plain"])
    validation = min(r["validation_share"] for r in speeds["rows"])
    quantiles, inside = _quantiles(results)
    rows = [
        (
            "the body matters",
            f"skip all: rho at most {skip:.4f} over all seeds and sizes",
            "<= 0.03",
            skip <= SKIP_ALL_BAR,
        ),
        ("no shortcut pays", f"at most {advantage:.3f} ({who})", "< 1.10", advantage < ADVANTAGE_BAR),
        ("acceptance is as computed", f"at most {rates:.1f} standard errors off", "<= 3", rates <= 3),
        ("hardware agrees", quantiles, "99.99 % quantile below epsilon", inside),
        ("cheap work is caught", f"at least {caught} of 1,000 runs", ">= 999", caught >= 999),
        ("honest work passes", f"at most {failed} of 1,000,000 runs failed", "<= 1", failed <= 1),
        (
            "it is fast: outside of products and attention",
            f"small {small:.1%}, dev {wider:.1%}",
            "<= 10 %",
            max(small, wider) <= OUTSIDE_BAR,
        ),
        ("it is fast: against float16 at equal sizes", f"at least {ratio:.1f} times", ">= 3", ratio >= 3),
        (
            "validation is cheap",
            f"at least {validation:.2f} of the generation rate",
            ">= 0.9",
            validation >= 0.9,
        ),
    ]
    return "## The table of claims\n\n" + table(
        ("claim", "measured", "bar", ""),
        ((name, value, bar, "met" if met else "**missed**") for name, value, bar, met in rows),
    )


MUST_BE_CAUGHT = (
    "int8 all",
    "int8 last half",
    "int8 last quarter",
    "fp8 all",
    "fp8 last half",
    "fp8 last quarter",
)


def _quantiles(results: Results) -> tuple[str, bool]:
    texts, inside = [], True
    for size in ("tiny", "small"):
        for dtype in ("float16", "float32"):
            rows = [r for r in results["agreement"][size]["rows"] if r["one"] == dtype]
            worst = max(row["99.99%"] for row in rows)
            epsilon = results["verdicts"][f"{size} {dtype}"]["epsilon"] / 1e6
            inside = inside and worst < epsilon
            texts.append(f"{size} {dtype} {worst:.2g} of {epsilon:g}")
    return "; ".join(texts), inside


def _correlations(results: Results) -> str:
    sizes = results["correlations"]
    named = {size: {row["name"]: row for row in found["rows"]} for size, found in sizes.items()}
    small = sizes["small"]["rows"]
    rows = []
    for row in small:
        tiny = named["tiny"][row["name"]]
        wide = named["wide"].get(row["name"], {}) if row["name"] in SAME_IN_WIDE else {}
        rows.append(
            (
                row["name"],
                f"{row['cost']:.3g}",
                _seeds(tiny),
                _seeds(row),
                f"{wide['rho']:.3f}" if wide else "",
            )
        )
    counts = ", ".join(
        f"{size} {found['nonces']:,} nonces x {found['seeds']} seeds" for size, found in sizes.items()
    )
    return (
        "## What a shortcut knows\n\n"
        "rho is the correlation of the true z with the shortcut's, taken as the mean cosine of the logits; least and most"
        f" over the weight seeds. {counts}. Cost: share of a pass's multiply-additions, 8 bits at half, 4 bits at a"
        " quarter of the price. Rows with a plus are two savings at once.\n\n"
        + table(("shortcut", "cost (small)", "rho tiny", "rho small", "rho wide"), rows)
        + "\n\n![Shortcuts](proof-of-compute-shortcuts.svg)"
    )


SAME_IN_WIDE = frozenset(
    "skip all|skip last 1|skip first 1|every other layer|no attention|half heads|half FFN|no FFN|half positions|"
    "int8 all|int8 last half|int8 last quarter|fp8 all|fp8 last half|fp8 last quarter|int4 all|int4 last half|"
    "int4 last quarter|half heads + int8|half FFN + int8|half positions + int8".split("|")
)


def _seeds(row: Results) -> str:
    low, high = min(row["rho_by_seed"]), max(row["rho_by_seed"])
    return f"{low:.4f} to {high:.4f}"


def _earnings(results: Results) -> str:
    lines = []
    verdicts = results["verdicts"]
    shown = list(verdicts)
    by_name = {network: {row["name"]: row for row in v["rows"]} for network, v in verdicts.items()}
    for name in by_name[shown[0]]:
        found = [by_name[network][name]["best"] for network in shown]
        if max(each["advantage"] for each in found) >= 1.0005:
            lines.append((name, *(f"{each['advantage']:.3f} ({each['mix']:.0%} cheap)" for each in found)))
    lottery = {row["name"]: row for row in results["lottery"]["small"]}
    listed = (
        "int8 all",
        "int8 last half",
        "int8 last quarter",
        "fp8 all",
        "int4 last half",
        "half FFN",
        "skip last 1",
        "mean direction",
    )
    return (
        "## What a shortcut earns\n\n"
        "At the default acceptance every computed nonce counts, and its claim is committed before anyone samples: there is"
        " nothing to filter. What is left is to claim cheap values among honest ones and hope. The table has, for each"
        " network, the best mixture: passed runs of 1,000, over the compute that it cost, honest work being 1. Shortcuts"
        " that are not listed earn nothing with any mixture.\n\n"
        + table(("shortcut", *shown), lines)
        + "\n\nShading does not exist at 10000 bps: a claim within epsilon of the truth is worth what the truth is worth."
        "\n\nBelow 10000 bps the same correlations make a lottery. The advantage of filtering and confirming, by formula"
        " (normal z, reuse of the layers that both share), which is why the default is what it is:\n\n"
        + table(
            ("shortcut (small)", "500 bps", "5000 bps", "10000 bps"),
            ((name, *(f"{lottery[name][p]:.2f}" for p in ("0.05", "0.5", "1"))) for name in listed),
        )
    )


def _surrogates(results: Results) -> str:
    rows = [
        (
            size,
            f"{row['examples']:,}",
            f"{row['mean_direction_rho']:.3f}",
            f"{row['ridge_rho']:.3f}",
            f"{row['network']['rho']:.3f}",
            f"{row['network']['train_rho']:.2f}",
        )
        for size, found in results["surrogates"].items()
        for row in found["rows"]
    ]
    costs = ", ".join(
        f"{size}: ridge {found['ridge_cost']:.3f}, network {found['network_cost']:.3f} of a pass"
        for size, found in results["surrogates"].items()
    )
    return (
        "## Learned stand-ins\n\nRidge regression on all inputs, and a network of two hidden layers trained on the cosine,"
        f" both chosen on the test set in the cheater's favour ({costs}). More examples help little; blind claims of"
        " rho below 0.98 fail the first test whatever they cost.\n\n"
        + table(("size", "examples", "mean direction", "ridge", "network", "network, on its examples"), rows)
    )


def _acceptance(results: Results) -> str:
    rows = [
        (
            size,
            f"{found['nonces']:,}",
            row["acceptance_bps"],
            f"{row['expected']:.5f}",
            f"{row['observed']:.5f}",
            f"{row['standard_errors']:+.1f}",
        )
        for size, found in results["acceptance"].items()
        for row in found["rows"]
    ]
    return (
        "## Acceptance\n\nExpected by the exact beta law below 256 logits, by the normal law above.\n\n"
        + table(("size", "nonces", "bps", "expected", "observed", "standard errors"), rows)
    )


def _agreement(results: Results) -> str:
    columns = ("99%", "99.9%", "99.99%", "max", "sd")
    rows = [
        (
            size,
            row["one"],
            row["other"],
            f"{row['nonces']:,}",
            *(f"{row[c]:.2g}" for c in columns),
            f"{row['kurtosis']:.1f}",
        )
        for size, found in results["agreement"].items()
        for row in found["rows"]
    ]
    return (
        '## Honest differences\n\n"Written out" is another order of operations, separate projections and torch\'s own product'
        " instead of oneDNN's; \"attention written out\" torch's second kernel. A quantile of n nonces beyond n/(n-1) is the"
        " largest seen.\n\n"
        + table(("size", "one", "other", "nonces", *columns, "kurtosis"), rows)
        + "\n\n![Tails](proof-of-compute-tails.svg)\n\nThe tails are heavy, and heavier the narrower the network: in 100,000"
        " nonces of `tiny` the 99.99 % quantile of float16 against float32 is above the epsilon of 0.1 that holds elsewhere."
        " So a network of less than 128 dimensions has its own tolerances (noise 0.013, epsilon 0.15 in float16), with"
        " which honest work passes and cheap work is caught: [decision 0010](adr/0010-tolerances-of-narrow-networks.md)."
    )


def _verdicts(results: Results) -> str:
    heads = (
        "network",
        "noise",
        "epsilon",
        "mean square of honest work",
        "honest runs failed",
        *MUST_BE_CAUGHT,
    )
    rows = []
    for network, found in results["verdicts"].items():
        caught = {row["name"]: row["caught"] for row in found["rows"]}
        rows.append(
            (
                network,
                found["noise"],
                found["epsilon"],
                f"{found['honest_mean_square']:.3f}",
                f"{found['honest_failed']} of {found['honest_runs']:,}",
                *(caught[name] for name in MUST_BE_CAUGHT),
            )
        )
    return (
        "## Detection\n\nA run draws 200 measured differences. Caught: runs of 1,000 in which all claims were cheap; six"
        " mismatches of 200 are fraud at 10^-7, and so is a mean square above 2.25. Honest runs draw from the pair of"
        " computations that lie furthest apart.\n\n" + table(heads, rows)
    )


def _speed(results: Results) -> str:
    return (
        '## Speed\n\nProcessor time of one thread, the least of seven rounds in turns. "Outside" is what a pass spends beyond its'
        " matrix products and attentions alone, timed on numbers without meaning; generation of inputs and signs is in it."
        " `dev` has 71 million weights (dim 512, 16 layers, 8192 logits, 4 positions). The plain transformer has the"
        " reference's sizes and default dtype and is timed without its generation of inputs, in its favour; the last"
        " column is the best rate on record of the reference's worker, two threads, another machine.\n\n"
        + speed_table(results["speed"])
        + "\n\nTwo things made most of the difference on a processor: float32 products by oneDNN, and a C library that keeps"
        " freed memory (fresh pages for every tensor took 40 % of a pass). Fused kernels, compiled for one batch shape,"
        " take what is left of the element-wise work down by half; below 50 million weights they are not worth the seconds"
        " of compiling, and without a compiler the same kernels run unfused. Why small networks may miss the bar:"
        " [decision 0012](adr/0012-small-networks-miss-the-speed-bar.md)."
    )


LIMITS = """## What this does not show

- No GPU and no second kind of processor: differences between a card and a processor, and between two cards, are not measured.
  The tests that compare them run where `torch.cuda` finds one (`tests/mlnode/test_pow.py`), and
  `evergrid mlnode certify` compares any machine with the golden vectors.
- Kernels by Triton, stages over several cards, a process for each card and Apple's MPS are written and, where a processor can
  stand in, tested on one (`tests/mlnode/test_pow_engine.py`, `test_pow_processes.py`); none has run on a card. Nor has the wait for
  a card's results by a thread of its own, while the next piece is queued (`test_pow_in_flight.py`): what it gains there is not measured.
- 8 and 4 bits are simulated with a scale a row; costs assume that they are twice and four times as fast.
- The presets `gpu24` and `gpu80` are sized by arithmetic.
- The mean direction above dim 512 is not measured; the study extrapolates its rho to 1.2 to 2.4/sqrt(dim).
- torch's compiler draws wrong signs where a dimension has the length 1 (`tiny`). Each compiled kernel is compared with the plain one when it
  is made, and one that differs is not used."""
