// Reads proofs as JSON from the standard input and says of each whether the reference implementation of ICS-23
// accepts it, with its own specs for the tree of a store and for the stores under the app hash.
package main

import (
	"encoding/hex"
	"encoding/json"
	"os"

	ics23 "github.com/cosmos/ics23/go"
)

type link struct {
	Spec  string  `json:"spec"`
	Root  string  `json:"root"`
	Key   string  `json:"key"`
	Value *string `json:"value"`
	Proof string  `json:"proof"`
}

func raw(text string) []byte {
	decoded, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return decoded
}

func holds(each link) bool {
	spec := ics23.IavlSpec
	if each.Spec == "ics23:simple" {
		spec = ics23.TendermintSpec
	}
	var proof ics23.CommitmentProof
	if proof.Unmarshal(raw(each.Proof)) != nil {
		return false
	}
	if each.Value == nil {
		return ics23.VerifyNonMembership(spec, raw(each.Root), &proof, raw(each.Key))
	}
	return ics23.VerifyMembership(spec, raw(each.Root), &proof, raw(each.Key), raw(*each.Value))
}

func main() {
	var links []link
	if err := json.NewDecoder(os.Stdin).Decode(&links); err != nil {
		panic(err)
	}
	answers := make([]bool, len(links))
	for i, each := range links {
		answers[i] = holds(each)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}
