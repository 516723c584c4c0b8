package ir_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"weir/internal/ir"
)

var updateVersion = flag.Bool("update-version", false, "record the resources of version 1 anew; only before it is released")

// TestVersion1: the resources of a node are what version 1 made of them, and are understood whole. A new field is left out at its
// zero value, and that means what version 1 did: else every agent of that version would refuse every resource.
func TestVersion1(t *testing.T) {
	const path = "testdata/v1.ndjson"
	var now bytes.Buffer
	for _, r := range node().Resources() {
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		now.Write(append(line, '\n'))
	}
	if *updateVersion {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, now.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	then, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(then, now.Bytes()) {
		t.Errorf("version 1 wrote something else (docs/decisions/0019-versions-apart.md):\n%s\nnow:\n%s", then, now.Bytes())
	}
	in := bufio.NewScanner(bytes.NewReader(then))
	for in.Scan() {
		var r *ir.Resource
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if err := ir.Understand(r); err != nil {
			t.Errorf("%s %v", r.ID, err)
		}
	}
}

func TestUnderstand(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`future/x {}`:                         "kind",
		`site/www {"name":"www","auth":true}`: `the field "auth"`,
		`pool/web {"name":["web"]}`:           "value of a form",
		`pool/web []`:                         "value of a form",
		`self {"name":"lb1","moon":"full"}`:   `the field "moon"`,
		`map/x {"name":"x"}`:                  "",
		`server/web/s1 {"name":"s1"}`:         "",
	} {
		id, body, _ := strings.Cut(text, " ")
		err := ir.Understand(&ir.Resource{ID: id, Body: []byte(body)})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
