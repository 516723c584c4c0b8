package agent

import (
	"testing"

	"weir/internal/haproxy"
)

func TestLookTellsWhatEnds(t *testing.T) {
	t.Parallel()
	l := Look{HAProxy: "3.4.7", Pid: 7, Config: "/etc/haproxy/haproxy.cfg", New: []string{"192.0.2.2:80"}, letGo: []string{"192.0.2.1:8404"}, Kept: []haproxy.Kept{
		{Listener: haproxy.Listener{Section: "frontend www", Line: 3, Text: "192.0.2.1:80"}},
		{Listener: haproxy.Listener{Section: "listen stats", Line: 9, Text: "192.0.2.1:8404"}, Lost: []string{"192.0.2.1:8404"}},
		{Listener: haproxy.Listener{Section: "frontend all", Line: 12, Text: "*:81"}, Lost: []string{"192.0.2.1:81", "127.0.0.1:81"}},
		{Listener: haproxy.Listener{Section: "frontend q", Line: 15, Text: "quic4@:443"}, Lost: []string{""}},
	}}
	const want = `HAProxy 3.4.7, process 7, reads /etc/haproxy/haproxy.cfg.
  kept  192.0.2.1:80 (frontend www, line 3)
  ends  192.0.2.1:8404 (listen stats, line 9)
  LOST  192.0.2.1:81, of *:81 (frontend all, line 12)
  LOST  127.0.0.1:81, of *:81 (frontend all, line 12)
  LOST  quic4@:443 (frontend q, line 15)
  new   192.0.2.2:80
`
	if got := l.String(); got != want {
		t.Errorf("it says\n%s\nand should\n%s", got, want)
	}
	const refusal = "HAProxy is not taken over: nobody would answer any more at 192.0.2.1:81, 127.0.0.1:81, quic4@:443. Give them to Weir (addresses and listeners of sites, ports of the Tuning), or let them end with --let-go ADDRESS"
	if got := l.Refusal(); got != refusal {
		t.Errorf("it refuses with %q", got)
	}
	for _, letGo := range [][]string{{"all"}, {"192.0.2.1:8404", "*:81", "quic4@:443"}} {
		if l.letGo = letGo; l.Refusal() != "" {
			t.Errorf("%v are let go, and it refuses with %q", letGo, l.Refusal())
		}
	}
	if l.Unknown = []string{"more"}; l.Refusal() == "" {
		t.Error("a file that is not what runs is taken over")
	}
}
