package ir

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"weir"
)

// TestCertificatesAreWrittenAsJSON: hashes that both ends of the link add up are of these bytes.
func TestCertificatesAreWrittenAsJSON(t *testing.T) {
	chain := "-----BEGIN CERTIFICATE-----\n" + strings.Repeat("abc+/=\n", 9) + "-----END CERTIFICATE-----\n"
	key := &weir.SealedRef{Generation: 7, Fingerprint: "hmac:0a"}
	odd := []string{"", "\n", "a\nb", "\r\n", "\x00", "\t", `a"b`, `a\b`, `a\nb`, "<", ">", "&", "ü", "\u2028", "\xff", "\x7f", "~", "a,b]}", `","chain":"`}
	var list []Certificate
	for _, s := range append(odd, "www", chain) {
		list = append(
			list, Certificate{Name: s, Chain: weir.NewChain(chain), Key: key, Names: []string{"a", "*.b"}}, Certificate{Name: "a", Chain: weir.NewChain(s)},
			Certificate{Name: "a", Chain: weir.NewChain(chain + s), Key: key}, Certificate{Name: "a", Chain: weir.NewChain(s + chain), Names: []string{s}},
			Certificate{Name: "a", Chain: weir.NewChain(chain), Key: &weir.SealedRef{Generation: -1, Fingerprint: s}, Names: []string{"a", s, "b"}},
		)
	}
	for _, c := range list {
		want, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.json(); !bytes.Equal(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
		r := NewResource("certificate/a", want)
		if !bytes.Equal(r.JSON(), want) {
			t.Errorf("%s came back as %s", want, r.JSON())
		}
		var plain Certificate
		if err := json.Unmarshal(want, &plain); err != nil {
			t.Fatal(err)
		}
		if r.Certificate != nil && !reflect.DeepEqual(*r.Certificate, plain) {
			t.Errorf("%s was read as %+v", want, *r.Certificate)
		}
	}
}

// TestWhatIsNotUnderstoodOfACertificateStays: it is part of the hash, and of what is said to be too new.
func TestWhatIsNotUnderstoodOfACertificateStays(t *testing.T) {
	for _, body := range []string{
		`{"name":"a","chain":"c","newer":1}`, `{"chain":"c","name":"a"}`, `{"name":"a","chain":"c" }`, `{"name":"a","chain":"c","names":[]}`,
		`{"name":"a","chain":"c","names":["b"}`, `{"name":"a","chain":"c","key":null}`, `{"name":"a","chain":"\u0063"}`, `[]`, ``, `{`,
	} {
		r := NewResource("certificate/a", []byte(body))
		if r.Certificate != nil || string(r.Body) != body {
			t.Errorf("%s became %+v", body, r)
		}
	}
	if r := NewResource("page/a", []byte(`{"name":"a","chain":"c"}`)); r.Certificate != nil {
		t.Errorf("%+v", r)
	}
	if r := NewResource("certificate/a", []byte(`{"name":"a","chain":"c"}`)); r.Certificate == nil || Understand(r) != nil {
		t.Errorf("%+v", r)
	}
}

// FuzzCutCertificate: what is read in one go is written as it came, and means what a reader of all JSON finds.
func FuzzCutCertificate(f *testing.F) {
	for _, body := range []string{
		`{"name":"a","chain":"c\nd\n","key":{"generation":7,"fingerprint":"f"},"names":["b","*.c"]}`, `{"name":"a","chain":"c"}`,
		`{"name":"a","chain":"c\\n"}`, `{"name":"a","chain":"c\\\n"}`, "{\"name\":\"a\",\"chain\":\"c\n\"}", `{"name":"a","chain":"\u003c"}`,
		`{"name":"a","chain":"c","key":{"generation":07,"fingerprint":"f"}}`, `{"name":"a","chain":"c","key":{"generation":+7,"fingerprint":"f"}}`,
		`{"name":"a","chain":"c","key":{"generation":,"fingerprint":"f"}}`, `{"name":"a","chain":"c","key":{"generation":99999999999999999999,"fingerprint":"f"}}`,
		`{"name":"a","chain":"c","names":["a",]}`, `{"name":"a","chain":"c","names":[]}`, `{"name":"a","chain":"c","names":["a"`, `{"name":"a","chain":"c"}}`,
		"{\"name\":\"\xff\",\"chain\":\"c\"}", `{"name":"a"`, `{"name":"a","chain":"c`, ``,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, ok := cutCertificate(body)
		if !ok {
			return
		}
		var plain Certificate
		if err := json.Unmarshal(body, &plain); err != nil || !reflect.DeepEqual(*c, plain) || !bytes.Equal(c.json(), body) {
			t.Fatalf("%q was read as %+v, which is written as %q", body, c, c.json())
		}
	})
}
