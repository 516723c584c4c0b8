package weirtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// A change reaches the secondary when it is sent to look, and outlives the primary.
func TestKnot(t *testing.T) {
	t.Parallel()
	k := StartKnot(t, KnotZone{Name: "example.test."}, KnotZone{Name: "closed.test.", Closed: true})
	update := func(zone string) int {
		m := new(dns.Msg)
		m.SetUpdate(zone)
		rr, err := dns.NewRR("a." + zone + " 1 TXT v")
		if err != nil {
			t.Fatal(err)
		}
		m.Insert([]dns.RR{rr})
		m.SetTsig(k.KeyName, dns.HmacSHA256, 300, time.Now().Unix())
		client := dns.Client{Net: "tcp", TsigSecret: map[string]string{k.KeyName: k.Secret}}
		answer, _, err := client.Exchange(m, k.Addr)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Rcode
	}
	if code := update("closed.test."); code != dns.RcodeNotAuth {
		t.Errorf("an update of a closed zone gave %s", dns.RcodeToString[code])
	}
	if code := update("example.test."); code != dns.RcodeSuccess {
		t.Fatalf("an update gave %s", dns.RcodeToString[code])
	}
	if got := k.TXT(k.Secondary, "a.example.test."); len(got) != 0 {
		t.Errorf("the secondary has %q before it was told", got)
	}
	k.Notify("example.test.")
	Eventually(t, Patience, func() error {
		if got := k.TXT(k.Secondary, "a.example.test."); len(got) != 1 || got[0] != "v" {
			return fmt.Errorf("the secondary has %q", got)
		}
		return nil
	})
	k.Stop()
	k.Start()
	k.awaitZone(k.Addr, "example.test.", 1)
	if got := k.TXT(k.Addr, "a.example.test."); len(got) != 1 {
		t.Errorf("after a restart the primary has %q", got)
	}
}
