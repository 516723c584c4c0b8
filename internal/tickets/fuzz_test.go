package tickets

import (
	"bytes"
	"testing"
)

// Whatever a brief holds, it is refused or reads the same when it is written again; nothing in it but what members
// made opens.
func FuzzParseBrief(f *testing.F) {
	b := newBed(f, 40)
	_, z, s, _ := pairOf(b)
	text, err := s.Brief(z.member(0), []Task{{By: "z", Epoch: 2, Make: true, For: []Recipient{{"z", z.Certificate.Raw}}}}).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(text[:len(text)/2])
	f.Add([]byte(`{"group":"edge","given":[{"envelope":{"to":"z"}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		brief, err := ParseBrief(text)
		if err != nil {
			return
		}
		first, err := brief.Encode()
		if err != nil {
			return // a time that JSON does not have
		}
		again, err := ParseBrief(first)
		if err != nil {
			t.Fatal(err)
		}
		if second, err := again.Encode(); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%s\n%s\n%v", first, second, err)
		}
		for _, g := range brief.Given {
			if secret, err := z.Open(g); err == nil && secret.Check != s.Epochs[0].Check {
				t.Fatalf("opened %+v", g)
			}
		}
		_, _ = Derive(brief.Group, nil, brief.Seeds)
	})
}
