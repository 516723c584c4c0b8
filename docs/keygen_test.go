package docs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
)

// keygen does what the documents ask of age-keygen: -o FILE makes a pair, -y FILE tells the public key of one.
func keygen(args []string, out *bytes.Buffer) error {
	if len(args) != 2 {
		return fmt.Errorf("this age-keygen stands in for the real one and does not know %v", args)
	}
	switch args[0] {
	case "-o":
		pair, err := age.GenerateX25519Identity()
		if err != nil {
			return err
		}
		return os.WriteFile(args[1], []byte(pair.String()+"\n"), 0o600)
	case "-y":
		text, err := os.ReadFile(args[1])
		if err != nil {
			return err
		}
		pair, err := age.ParseX25519Identity(string(bytes.TrimSpace(text)))
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, pair.Recipient())
		return err
	}
	return fmt.Errorf("this age-keygen stands in for the real one and does not know %s", args[0])
}

func TestKeygenStandsIn(t *testing.T) {
	t.Parallel()
	file, out := filepath.Join(t.TempDir(), "key"), new(bytes.Buffer)
	if err := keygen([]string{"-o", file}, out); err != nil {
		t.Fatal(err)
	}
	if err := keygen([]string{"-y", file}, out); err != nil {
		t.Fatal(err)
	}
	if _, err := age.ParseX25519Recipient(string(bytes.TrimSpace(out.Bytes()))); err != nil {
		t.Errorf("the public key is %q: %v", out, err)
	}
}
