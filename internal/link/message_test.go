package link

import (
	"bufio"
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"weir"
	"weir/internal/ir"
	"weir/internal/secrets"
)

func FuzzMessage(f *testing.F) {
	var line secretLine
	line.add(keyRead{certificate: "www", ref: weir.SealedRef{Generation: 2, Fingerprint: "f"}})
	line.add(keyRead{certificate: "shop", data: secrets.NewSecret([]byte("k"))})
	sealed, err := line.end()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{
		appendStart(nil, "e1", true),
		appendPut(nil, []*ir.Resource{res("map/x", map[string]any{"a": []int{1}}), cert("www", 1)}),
		appendDelete(nil, []string{"map/x", "self"}),
		appendCommit(nil, 5, Hash{1, 2}),
		sealed,
		[]byte(`{"put":[{"id":"map/x","body":1}],"delete":["map/x"]}`),
		[]byte(`{"put":[{"id":"map/x"}]}`),
		[]byte(`{"rev":5}`),
		[]byte(`{"secrets":[{"id":"certificate/../x"}]}`),
		[]byte(`{} {}`),
		[]byte(`{"new":1}`),
	} {
		f.Add(bytes.TrimSpace(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := decodeMessage(line)
		if err != nil {
			return
		}
		// What was read is written as whole lines that mean the same.
		tr := &transaction{}
		tr.add(m)
		again := &transaction{reset: tr.reset}
		in := bufio.NewReader(bytes.NewReader(tr.lines(nil, 1, Hash{})))
		for {
			l, err := readLine(in)
			if err != nil {
				break
			}
			m, err := decodeMessage(l)
			if err != nil {
				t.Fatalf("%q: wrote %q: %v", line, l, err)
			}
			again.add(m)
		}
		if len(tr.writes)+len(again.writes) > 0 && !reflect.DeepEqual(tr.writes, again.writes) {
			t.Fatalf("%q became %q", tr.writes, again.writes)
		}
		r := &replica{}
		hash := r.sum(tr)
		if err := r.apply(tr, "e1", 1, hash); err == nil {
			var sum Hash
			for _, l := range r.list {
				sum = sum.xor(hashResource(l.ID, l.JSON()))
			}
			if sum != hash {
				t.Fatalf("%q: the sum of what is there is another", line)
			}
		}
	})
}

func TestMessagesShowNoKeys(t *testing.T) {
	t.Parallel()
	var keys secretLine
	keys.add(keyRead{certificate: "www", data: secrets.NewSecret([]byte("KEY-CANARY"))})
	line, err := keys.end()
	if err != nil {
		t.Fatal(err)
	}
	m, err := decodeMessage(bytes.TrimSpace(line))
	if err != nil || string(m.Secrets[0].Data) != "KEY-CANARY" {
		t.Fatalf("%v", err)
	}
	for _, shown := range []string{fmt.Sprint(m), fmt.Sprintf("%+v %#v", m, m)} {
		if strings.Contains(shown, "CANARY") || strings.Contains(shown, "75 69 89") {
			t.Errorf("shows %s", shown)
		}
	}
	for _, bad := range []string{`{"secrets":[{"id":"certificate/www","data":"KEY-CANARY`, `{"secrets":[{"id":"KEY-CANARY"}]}`, `{"secrets":"KEY-CANARY"}`, `{"secrets":[{"data":"KEY-CANARY!"}]}`} {
		if _, err := decodeMessage([]byte(bad)); err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
