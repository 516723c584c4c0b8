package dns01

import (
	"strings"
	"testing"
)

func TestRecordsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, r := range []Record{{"", "v"}, {"*", "v"}, {"*.*.example.com", "v"}, {"a b", "v"}, {"ü.example", "v"}, {"a\n.example", "v"}, {strings.Repeat("abcdefg.", 31) + "com", "v"}, {"www.example.com", ""}, {"www.example.com", "a b"}, {"www.example.com", "a\nb"}, {"www.example.com", strings.Repeat("x", 256)}, {"www.example.com", "a=b"}} {
		if err := r.check(); err == nil {
			t.Errorf("%q passed", r)
		}
	}
	for _, r := range []Record{{"www.example.com", "v"}, {"*.Example.com.", "A-Z_0"}, {"xn--tda.example", "v"}} {
		if err := r.check(); err != nil {
			t.Errorf("%q: %v", r, err)
		}
	}
}
