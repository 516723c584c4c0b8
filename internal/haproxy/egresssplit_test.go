package haproxy_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// callGate is a gate that myback calls by, with the log's route, backend and what splits did.
type callGate struct {
	*gate
	log net.PacketConn
}

func startCallGate(t *testing.T, h weirtest.HAProxy, edit func(*ir.Node), rules ...weir.EgressRule) callGate {
	t.Helper()
	log, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	_ = log.SetReadDeadline(time.Now().Add(weirtest.Patience))
	g := startGate(t, h, func(n *ir.Node) {
		base := n.Group.Ranges[0].Addr().As4()
		calling(func(host byte) netip.Addr { base[3] = host; return netip.AddrFrom4(base) }, rules...)(n)
		if edit != nil {
			edit(n)
		}
	}, haproxy.Log{
		Target:     "log " + log.LocalAddr().String() + " format raw local0 info",
		HTTPFormat: "%HPO %ST %[var(txn.route)] %b %[var(txn.limited)]", TCPFormat: "tcp", ErrorFormat: "error",
	})
	return callGate{g, log}
}

// call makes one at a level, and gives its status with all of the answer.
func (g callGate) call(service, level, rest string, headers ...string) (int, string) {
	g.t.Helper()
	return g.ask(50, "egress.inside", "/myback/prod/example/prod/"+service+"/"+level+rest, headers...)
}

// served gives the origin that answers a call to www, or the status where none does.
func (g callGate) served() string {
	g.t.Helper()
	status, answer := g.call("www", "high", "/x")
	if _, rest, ok := strings.Cut(answer, "x-origin: "); ok && status == 200 {
		name, _, _ := strings.Cut(rest, "\r\n")
		return name
	}
	return fmt.Sprint(status)
}

// logged waits for the line of a path that ends in rest, and gives what it says behind: status, route, pool, and what
// splits did.
func (g callGate) logged(rest string) string {
	g.t.Helper()
	for {
		b := make([]byte, 2000)
		n, _, err := g.log.ReadFrom(b)
		if err != nil {
			g.t.Fatalf("no line of %s: %v", rest, err)
		}
		words := strings.Fields(strings.TrimRight(string(b[:n]), "}\n")) // the site's part of the format ends in one
		if strings.HasSuffix(words[0], rest) {
			words[3], _, _ = strings.Cut(words[3], ".u") // the profile's
			return strings.Join(words[1:], " ")
		}
	}
}

// divided are the Splits of a site to which calls to www go elsewhere.
func divided(edit func(*weir.Split), www, mail int) []ir.Split {
	s := ir.Split{Name: "new", Split: weir.Split{
		Site: "out", Sticky: weir.StickyNone, Backend: "example/prod/www",
		Legs: []weir.SplitLeg{{Backend: "example/prod/www", Weight: www}, {Backend: "example/prod/mail", Weight: mail}},
	}}
	if edit != nil {
		edit(&s.Split)
	}
	s.ByPool()
	return []ir.Split{s}
}

// A share of the calls to a service goes to another one, which no rule names, by the rule and the level of that which was
// called; the first Split is run time, and the log has both services.
func TestCallsThatAreDivided(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		g := startCallGate(t, h, nil, weir.EgressRule{Clients: []string{"myback-prod"}, Services: []string{"www"}, SLAs: []string{"high", "low"}})
		www, mail := g.origins[33], g.origins[36]
		if got := g.served(); got != "api" {
			t.Fatalf("undivided: %s", got)
		}
		g.change(func(n *ir.Node) { n.Splits = divided(nil, 3, 1) })
		const n = 200
		got := map[string]int{}
		for range n {
			got[g.served()]++
		}
		near(t, "calls", got, "web2", n/4, 31) // five times the standard deviation
		near(t, "calls", got, "api", n*3/4, 31)

		g.change(func(n *ir.Node) {
			n.Splits = divided(func(s *weir.Split) { s.Sticky = weir.StickyCookie }, 0, 1)
		})
		before := len(mail.Requests(""))
		if status, answer := g.call("www", "high", "/first?q=1"); status != 200 || !strings.Contains(answer, "Set-Cookie: WEIRSPLIT=") {
			t.Errorf("a new caller got\n%s", answer)
		}
		if said := g.logged("/first"); said != "200 out/example.prod.www example.prod.mail -" {
			t.Errorf("logged %q", said)
		}
		for _, cookie := range []string{"WEIRSPLIT=7", "WEIRSPLIT=7; a=1", "a=1; WEIRSPLIT=7", "a=1; WEIRSPLIT=7; MYWEIRSPLIT=2"} {
			g.call("www", "high", "/x", "Cookie: "+cookie)
		}
		want := []string{"/first?q=1 [] mail.example.com", "/x [] mail.example.com", "/x [a=1] mail.example.com", "/x [a=1] mail.example.com", "/x [a=1; MYWEIRSPLIT=2] mail.example.com"}
		seen := mail.Requests("")[before:]
		for i := range want {
			if i >= len(seen) {
				t.Fatalf("the leg saw %d calls, want %d", len(seen), len(want))
			}
			if got := fmt.Sprintf("%s %s %s", seen[i].URI, seen[i].Header.Values("Cookie"), seen[i].Host); got != want[i] {
				t.Errorf("the leg saw %s, want %s", got, want[i])
			}
		}
		// A leg is no way around a rule, and what is under way at a level is what was called.
		if status, answer := g.call("mail", "high", "/x"); status != 403 {
			t.Errorf("what no rule names is called: %s", answer)
		}
		g.change(func(n *ir.Node) {
			for i := range n.SLAs {
				if n.SLAs[i].Name == "low" {
					n.SLAs[i].Server = weir.Duration(20 * time.Second)
				}
			}
			n.Splits = divided(nil, 0, 1)
		})
		mail.SetDelay(2 * time.Second)
		before = len(mail.Requests(""))
		done := make(chan int)
		go func() {
			status, _ := g.call("www", "low", "/slow")
			done <- status
		}()
		weirtest.Eventually(t, weirtest.Patience, func() error {
			if len(mail.Requests("")) == before {
				return fmt.Errorf("not under way")
			}
			return nil
		})
		if status, answer := g.call("www", "low", "/full"); status != 503 || !strings.Contains(answer, "1 calls to example/prod/www at level low are under way") {
			t.Errorf("a second one at the level: %s", answer)
		}
		if said := g.logged("/full"); said != "503 out/example.prod.www+full http-8080 -" {
			t.Errorf("logged %q", said)
		}
		if status := <-done; status != 200 {
			t.Errorf("a slow call: %d", status)
		}
		mail.Stop()
		if status, answer := g.call("www", "high", "/gone"); status != 503 || !strings.Contains(answer, "example/prod/mail for example/prod/www can not be reached") {
			t.Errorf("a leg that is gone: %s", answer)
		}

		// On Sunday at 10:00, with nobody there.
		soon := time.Now().Truncate(time.Second).Add(2 * time.Second)
		g.change(func(n *ir.Node) {
			n.Schedules = []ir.Schedule{{Name: "sunday", From: soon}}
			n.Splits = divided(func(s *weir.Split) {
				s.Schedule = "sunday"
				s.Legs[1].Backend = "example/prod/files"
			}, 0, 1)
		})
		for time.Now().Before(soon) {
			if got := g.served(); got != "api" && time.Now().Before(soon) {
				t.Fatalf("before its time: %s", got)
			}
		}
		if got := g.served(); got != "web1" {
			t.Errorf("at its time: %s", got)
		}
		if seen := g.origins[35].Requests(""); len(seen) == 0 || seen[0].URI != "/v2/x/x" {
			t.Errorf("the leg saw %+v", seen)
		}
		www.Stop() // nobody asks it
		if got := g.served(); got != "web1" {
			t.Errorf("without the service of before: %s", got)
		}
	})
}

// A leg whose answers are errors is taken out by HAProxy; what a level has no room for is no error of a leg.
func TestCallsLeaveLegsThatFail(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		g := startCallGate(t, h, func(n *ir.Node) {
			n.Splits = divided(func(s *weir.Split) {
				s.Abort = &weir.SplitAbort{Errors: 50, Window: weir.Duration(10 * time.Minute), Requests: 3}
			}, 0, 1)
		}, weir.EgressRule{Clients: []string{"myback-prod"}, Services: []string{"www"}, SLAs: []string{"high"}})
		g.origins[36].SetStatus("/x", 500)
		var got []string
		for range 5 {
			got = append(got, g.served())
		}
		if want := "[500 500 500 api api]"; fmt.Sprint(got) != want {
			t.Errorf("a leg that fails: %v, want %s", got, want)
		}
		var said []string
		for range 5 {
			said = append(said, g.logged("/x"))
		}
		if got, want := strings.Join(said[2:], "\n"), "500 out/example.prod.www example.prod.mail out:new/example.prod.mail,\n200 out/example.prod.www example.prod.www away:new/example.prod.mail,\n200 out/example.prod.www example.prod.www away:new/example.prod.mail,"; got != want {
			t.Errorf("logged\n%s\nwant\n%s", got, want)
		}
	})
}
