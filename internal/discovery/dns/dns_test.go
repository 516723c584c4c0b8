package dns

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"weir/internal/weirtest"
)

// A real name server: addresses of both families, aliases, services, answers that fit into no packet, and refusals.
func TestKnot(t *testing.T) {
	t.Parallel()
	records := []string{
		"web A 192.0.2.2", "web A 192.0.2.1", "web AAAA 2001:db8::1", "six AAAA 2001:db8::6", "four A 192.0.2.4",
		"alias CNAME alias2", "alias2 CNAME web", "out CNAME www.example.org.", "dead CNAME nothing", "loop CNAME loop", "text TXT x", "_http._tcp SRV 10 5 8080 web", "_http._tcp SRV 20 0 8081 four",
		"_part._tcp SRV 1 1 80 four", "_part._tcp SRV 1 1 80 nothing", "_none._tcp SRV 0 0 0 .", "_gone._tcp SRV 0 0 80 nothing",
	}
	for i := range 300 {
		records = append(records, fmt.Sprintf("many A 10.0.%d.%d", i/250, i%250+1))
	}
	k := weirtest.StartKnot(t, weirtest.KnotZone{Name: "example.test.", Records: records})
	cases := []struct {
		name   string
		family Family
		want   []string // of each, what it begins with; the last may be a failure
	}{
		{"web", PreferIPv4, []string{"part web.example.test [192.0.2.1 192.0.2.2]", "whole [web.example.test]"}},
		{"web", PreferIPv6, []string{"part web.example.test [2001:db8::1]"}},
		{"web", Both, []string{"part web.example.test [192.0.2.1 192.0.2.2 2001:db8::1]"}},
		{"web", OnlyIPv6, []string{"part web.example.test [2001:db8::1]"}},
		{"six", PreferIPv4, []string{"part six.example.test [2001:db8::6]"}},
		{"four", PreferIPv6, []string{"part four.example.test [192.0.2.4]"}},
		{"four", Both, []string{"part four.example.test [192.0.2.4]"}},
		{"four", OnlyIPv6, []string{"failed resolve four.example.test: ask for AAAA of four.example.test.: NODATA: the name exists and has no AAAA record"}},
		{"text", Both, []string{"failed resolve text.example.test: ask for A and AAAA of text.example.test.: NODATA: the name exists and has no address"}},
		{"alias", PreferIPv4, []string{"part alias.example.test [192.0.2.1 192.0.2.2]"}},
		{"many", PreferIPv4, []string{"part many.example.test of 300"}},
		{"nothing", PreferIPv4, []string{"failed resolve nothing.example.test: ask for A of nothing.example.test.: NXDOMAIN: the name does not exist"}},
		{"dead", PreferIPv4, []string{"failed resolve dead.example.test: ask for A of dead.example.test., which leads to nothing.example.test.: NXDOMAIN"}},
		{"loop", PreferIPv4, []string{"failed resolve loop.example.test: ask for A of loop.example.test.: more than 8 CNAME records one after another, or a loop"}},
		{"out", PreferIPv4, []string{"failed resolve out.example.test: ask for A of www.example.org. at " + k.Addr + ": REFUSED: the server does not answer such questions from here"}},
		{"_http._tcp", PreferIPv4, []string{"part _http._tcp.example.test [four.example.test:8081 192.0.2.4 8081 20 four.example.test 0 web.example.test:8080/192.0.2.1 192.0.2.1 8080 10 web.example.test 5 web.example.test:8080/192.0.2.2 192.0.2.2 8080 10 web.example.test 5]"}},
		{"_http._tcp", PreferIPv6, []string{"part _http._tcp.example.test [four.example.test:8081 192.0.2.4 8081 20 four.example.test 0 web.example.test:8080 2001:db8::1 8080 10 web.example.test 5]"}},
		{"_part._tcp", PreferIPv4, []string{"part _part._tcp.example.test [four.example.test:80 192.0.2.4 80 1 four.example.test 1]", "whole", "failed resolve _part._tcp.example.test: 1 of the 2 targets of its SRV records are left out: ask for A of nothing.example.test.: NXDOMAIN"}},
		{"_none._tcp", PreferIPv4, []string{"part _none._tcp.example.test []", "whole"}},
		{"_gone._tcp", PreferIPv4, []string{"failed resolve _gone._tcp.example.test: none of the 1 targets of its SRV records has an address: ask for A of nothing.example.test.: NXDOMAIN"}},
	}
	for _, c := range cases {
		r, stop := watch(t, Config{Names: []string{c.name + ".example.test"}, Servers: []string{k.Addr}, SRV: c.name[0] == '_', Family: c.family, Clock: newSteps().clock()})
		for _, want := range c.want {
			if got := r.next(); !strings.HasPrefix(got, want) {
				t.Errorf("%s, family %d: told\n%q, want\n%q", c.name, c.family, got, want)
			}
		}
		stop()
	}
}

// A name is asked for again when its answer has run out, within the bounds, and what is the same is not told again.
func TestTimeToLive(t *testing.T) {
	t.Parallel()
	answers := make(chan func(q *dns.Msg) [][]byte, 1)
	clock := newSteps()
	ok := func(records ...string) func(q *dns.Msg) [][]byte {
		return func(q *dns.Msg) [][]byte { return says(t, q, dns.RcodeSuccess, records...) }
	}
	r, _ := watch(t, Config{
		Names: []string{"web.test"}, Servers: []string{"ns"}, Family: OnlyIPv4, MinTTL: 10 * time.Second, MaxTTL: time.Minute, Clock: clock.clock(),
		Dial: dial(func(_, _ string, q *dns.Msg) [][]byte { return (<-answers)(q) }),
	})
	steps := []struct {
		answer func(q *dns.Msg) [][]byte
		told   []string
		pause  time.Duration
	}{
		{ok("web.test. 30 A 192.0.2.1"), []string{"part web.test [192.0.2.1]", "whole [web.test]"}, 30 * time.Second},
		{ok("web.test. 0 A 192.0.2.1"), []string{"alive"}, 10 * time.Second},
		{ok("web.test. 40 A 192.0.2.2", "web.test. 20 A 192.0.2.1"), []string{"part web.test [192.0.2.1 192.0.2.2]"}, 20 * time.Second},
		{ok("web.test. 600 A 192.0.2.2"), []string{"part web.test [192.0.2.2]"}, time.Minute},
		{ok("web.test. 15 CNAME a.test.", "a.test. 600 A 192.0.2.2"), []string{"alive"}, 15 * time.Second},
		{ok("web.test. 4294967295 A 192.0.2.2"), []string{"alive"}, 10 * time.Second},
		{ok(), []string{"failed resolve web.test: ask for A of web.test.: NODATA: the name exists and has no A record"}, time.Second},
		{ok("other.test. 60 A 192.0.2.9"), []string{"failed resolve web.test: ask for A of web.test.: NODATA: the name exists and has no A record"}, 2 * time.Second},
		{ok("web.test. 60 A 0.0.0.0"), []string{`failed resolve web.test: ask for A of web.test.: the answer has the address "0.0.0.0", which is no server's: the zone is wrong, or somebody answers in its place`}, 4 * time.Second},
		{ok("web.test. 20 A 192.0.2.2"), []string{"alive"}, 20 * time.Second},
	}
	for i, step := range steps {
		answers <- step.answer
		r.want(step.told...)
		if got := <-clock.pauses; got != step.pause {
			t.Errorf("step %d: a pause of %s, want %s", i, got, step.pause)
		}
		clock.goOn <- time.Time{}
	}
	answers <- ok("web.test. 20 A 192.0.2.2")
	r.want("alive")
}

// SRV: nonsense and half a list are refused as a whole, what was told stands.
func TestSRV(t *testing.T) {
	t.Parallel()
	const name = "_http._tcp.test"
	for want, records := range map[string][]string{
		"is nonsense: it must have a port and a target":       {name + ". 1 SRV 0 0 0 a.test."},
		"«1 1 80 .» is nonsense":                              {name + ". 1 SRV 1 1 80 .", name + ". 1 SRV 1 1 80 a.test."},
		`"a.test:80" is there twice`:                          {name + ". 1 SRV 1 1 80 a.test.", name + ". 1 SRV 2 1 80 A.test.", "a.test. 1 A 192.0.2.1"},
		"the target b.test. of its SRV records: ask for A of": {name + ". 1 SRV 1 1 80 a.test.", name + ". 1 SRV 2 1 80 b.test.", "a.test. 1 A 192.0.2.1"},
	} {
		r, stop := watch(t, Config{
			Names: []string{name}, SRV: true, Servers: []string{"ns"}, Family: OnlyIPv4, Clock: newSteps().clock(),
			Dial: dial(func(_, _ string, q *dns.Msg) [][]byte {
				if q.Question[0].Qtype != dns.TypeSRV {
					return says(t, q, dns.RcodeServerFailure)
				}
				return says(t, q, dns.RcodeSuccess, records...)
			}),
		})
		if got := r.next(); !strings.HasPrefix(got, "failed resolve "+name+": ") || !strings.Contains(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
		stop()
	}
}

// One name that fails does not hide the others, nor they that it does.
func TestSeveralNames(t *testing.T) {
	t.Parallel()
	clock := newSteps()
	r, _ := watch(t, Config{
		Names: []string{"b.test", "a.test"}, Servers: []string{"ns"}, Family: OnlyIPv4, Clock: clock.clock(),
		Dial: dial(func(_, _ string, q *dns.Msg) [][]byte {
			if q.Question[0].Name == "b.test." {
				return says(t, q, dns.RcodeNameError)
			}
			return says(t, q, dns.RcodeSuccess, "a.test. 1 A 192.0.2.1")
		}),
	})
	seen := map[string]int{}
	for seen["whole [a.test b.test]"] == 0 {
		seen[r.next()]++
	}
	<-clock.pauses
	<-clock.pauses
	for range 10 {
		clock.goOn <- time.Time{}
		<-clock.pauses
	}
	for len(r.told) > 0 {
		seen[r.next()]++
	}
	const failure = "failed resolve b.test: ask for A of b.test.: NXDOMAIN: the name does not exist; correct it, or ask a server that knows it"
	if seen["part a.test [192.0.2.1]"] != 1 || seen["alive"] > 1 || seen[failure] < 10 {
		t.Errorf("told: %v", seen)
	}
}

// The machine's name servers are read anew each time.
func TestServersOfTheMachine(t *testing.T) {
	t.Parallel()
	clock := newSteps()
	s, err := New(Config{Names: []string{"web.test"}, Family: OnlyIPv4, Clock: clock.clock(), Dial: dial(func(_, server string, q *dns.Msg) [][]byte {
		return says(t, q, dns.RcodeSuccess, "web.test. 1 A "+strings.TrimSuffix(server, ":53"))
	})})
	if err != nil {
		t.Fatal(err)
	}
	s.resolvConf = filepath.Join(t.TempDir(), "resolv.conf")
	r, _ := watchSource(t, s)
	if got := r.next(); !strings.Contains(got, "find the machine's name servers: open ") {
		t.Errorf("told %q", got)
	}
	for _, c := range []struct{ text, want string }{
		{"# none\n", "resolv.conf names none; name servers"}, {"nameserver 192.0.2.53\n", "part web.test [192.0.2.53]"},
	} {
		if err := os.WriteFile(s.resolvConf, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		<-clock.pauses
		clock.goOn <- time.Time{}
		if got := r.next(); !strings.Contains(got, c.want) {
			t.Errorf("told %q, want %q", got, c.want)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	good := Config{Names: []string{"web.example.com", "_x._tcp.example.com."}, Servers: []string{"192.0.2.1", "[2001:db8::1]:5353", "2001:db8::1"}}
	s, err := New(good)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.servers, " "); got != "192.0.2.1:53 [2001:db8::1]:5353 [2001:db8::1]:53" {
		t.Errorf("servers: %s", got)
	}
	for want, edit := range map[string]func(*Config){
		"names: there are 0":          func(c *Config) { c.Names = nil },
		"is there twice":              func(c *Config) { c.Names = []string{"a.test", "A.test."} },
		"is an address already":       func(c *Config) { c.Names = []string{"192.0.2.1"} },
		"is no name":                  func(c *Config) { c.Names = []string{"a b"} },
		`"." is no name`:              func(c *Config) { c.Names = []string{"."} },
		"no port of 1 to 65535":       func(c *Config) { c.Servers = []string{"192.0.2.1:x"} },
		"is no server":                func(c *Config) { c.Servers = []string{"a/b"} },
		"is none of those":            func(c *Config) { c.Family = 9 },
		"TTL: from 5s to 2s":          func(c *Config) { c.MaxTTL = 2 * time.Second },
		"TTL: from 1ms to":            func(c *Config) { c.MinTTL = time.Millisecond },
		"timeout: 1m0s is not betwee": func(c *Config) { c.Timeout = time.Minute },
	} {
		c := good
		edit(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// A watch leaves no goroutine behind, be it in a question or in a pause.
func TestNothingIsLeft(t *testing.T) {
	for _, silent := range []bool{true, false} {
		before := runtime.NumGoroutine()
		asked := make(chan struct{}, 100)
		clock := newSteps()
		_, stop := watch(t, Config{
			Names: []string{"a.test", "b.test"}, Servers: []string{"ns"}, Timeout: 30 * time.Second, Clock: clock.clock(),
			Dial: dial(func(_, _ string, q *dns.Msg) [][]byte {
				asked <- struct{}{}
				if silent {
					return nil
				}
				return says(t, q, dns.RcodeNameError)
			}),
		})
		<-asked
		if !silent {
			<-clock.pauses
		}
		stop()
		limit := time.Now().Add(weirtest.Patience)
		for runtime.NumGoroutine() > before {
			if time.Now().After(limit) {
				buf := make([]byte, 64<<10)
				t.Fatalf("goroutines are left:\n%s", buf[:runtime.Stack(buf, true)])
			}
			runtime.Gosched()
		}
	}
}
