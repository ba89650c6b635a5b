// Writes a keyring by the Cosmos SDK, or reads one and prints what it holds.
// go run . write DIR | go run . read DIR BACKEND
package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/codec/types"
	cryptocodec "github.com/cosmos/cosmos-sdk/crypto/codec"
	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	"github.com/cosmos/cosmos-sdk/crypto/keys/multisig"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
)

const (
	passphrase = "a passphrase"
	words      = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func opened(dir, backend string, cdc codec.Codec) keyring.Keyring {
	// The passphrase is asked for at each opening, twice where the keyring is new.
	answers := strings.NewReader(strings.Repeat(passphrase+"\n", 1000))
	return must(keyring.New("evergrid", backend, dir, io.Reader(answers), cdc))
}

func main() {
	config := sdk.GetConfig()
	config.SetBech32PrefixForAccount("evergrid", "evergridpub")
	registry := types.NewInterfaceRegistry()
	cryptocodec.RegisterInterfaces(registry)
	cdc := codec.NewProtoCodec(registry)
	if os.Args[1] == "read" {
		for _, record := range must(opened(os.Args[2], os.Args[3], cdc).List()) {
			address := must(record.GetAddress())
			line := map[string]any{
				"name": record.Name, "address": address.String(), "type": record.GetType().String(),
				"public_key": hex.EncodeToString(must(record.GetPubKey()).Bytes()),
			}
			if record.GetLocal() != nil {
				ring := opened(os.Args[2], os.Args[3], cdc)
				signature, _, err := ring.Sign(record.Name, []byte("text"), signing.SignMode_SIGN_MODE_DIRECT)
				line["signature"] = hex.EncodeToString(must(signature, err))
			}
			fmt.Println(string(must(json.Marshal(line))))
		}
		return
	}
	armored := map[string]string{}
	for _, backend := range []string{"test", "file"} {
		ring := opened(os.Args[2], backend, cdc)
		alice := must(ring.NewAccount("alice", words, "", hd.CreateHDPath(118, 0, 0).String(), hd.Secp256k1))
		bob := must(ring.NewAccount("bob", words, "", hd.CreateHDPath(118, 0, 1).String(), hd.Secp256k1))
		eve := must(must(ring.NewAccount("eve", words, "", hd.CreateHDPath(118, 0, 2).String(), hd.Secp256k1)).GetPubKey())
		if err := ring.Delete("eve"); err != nil {
			panic(err)
		}
		keys := []cryptotypes.PubKey{must(alice.GetPubKey()), must(bob.GetPubKey())}
		must(ring.SaveOfflineKey("watched", eve))
		must(ring.SaveMultisig("both", multisig.NewLegacyAminoPubKey(2, keys)))
		armored[backend] = must(ring.ExportPrivKeyArmor("alice", passphrase))
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(armored); err != nil {
		panic(err)
	}
	if err := os.WriteFile(os.Args[2]+"/armor.json", out.Bytes(), 0o600); err != nil {
		panic(err)
	}
}
