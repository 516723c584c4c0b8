package hapctl

import "testing"

func TestOnlySlow(t *testing.T) {
	slow := LogLine{Level: "WARNING", Text: "parsing [haproxy.cfg:9]: the hash algorithm used for this password takes 115 milliseconds to verify, which …"}
	end := LogLine{Level: "ALERT", Text: "Some warnings were found and 'zero-warning' is set. Aborting."}
	other := LogLine{Level: "WARNING", Text: "log format ignored for frontend 'x'"}
	for _, c := range []struct {
		why  []LogLine
		want bool
	}{
		{[]LogLine{slow, end}, true},
		{[]LogLine{slow, slow}, true},
		{[]LogLine{slow, other, end}, false},
		{[]LogLine{other, end}, false},
		{[]LogLine{end}, false},
		{nil, false},
	} {
		if got := onlySlow(c.why); got != c.want {
			t.Errorf("%v: %t", c.why, got)
		}
	}
}
