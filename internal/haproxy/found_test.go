package haproxy

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestReadFound(t *testing.T) {
	t.Parallel()
	found := ReadFound(`
# bind 192.0.2.9:1 in a comment
global
    stats socket /run/haproxy/admin.sock
defaults
    mode http
frontend www # the shop
    bind 192.0.2.1:80,192.0.2.2:80 name "a b"
    bind :443 ssl crt "/etc/ssl/a b.pem" # bind *:1
    bind "[2001:db8::1]:443" ssl crt /etc/ssl/x.pem
    bind :::8080 v4v6
    bind [::]:8081 v6only
    bind ipv4@192.0.2.3:90-92
    bind *:"${PORT}"
    bind 192.0.2.1:$NOBODY
    bind 192.0.2.1:${NOBODY-81}
    bind quic4@:443 ssl crt /etc/ssl/x.pem
    bind /run/haproxy/www.sock mode 660
    bind abns@www
    bind www.example.com:80
    bind 192.0.2.1:0
listen stats
	bind	127.0.0.1:8404
backend web
    server s1 192.0.2.77:80
peers p
    bind 192.0.2.1:1024
log-forward l
    dgram-bind 127.0.0.1:514
`, map[string]string{"PORT": "8888"})
	var got []string
	for _, l := range found.Listeners {
		at := "-"
		if l.Addr.IsValid() {
			at = l.Addr.String()
		}
		got = append(got, l.Section+" "+l.Text+" "+at)
	}
	want := []string{
		"frontend www 192.0.2.1:80 192.0.2.1:80", "frontend www 192.0.2.2:80 192.0.2.2:80", "frontend www :443 0.0.0.0:443",
		"frontend www [2001:db8::1]:443 [2001:db8::1]:443", "frontend www :::8080 [::]:8080", "frontend www [::]:8081 [::]:8081",
		"frontend www ipv4@192.0.2.3:90 192.0.2.3:90", "frontend www ipv4@192.0.2.3:91 192.0.2.3:91", "frontend www ipv4@192.0.2.3:92 192.0.2.3:92",
		"frontend www *:8888 0.0.0.0:8888", "frontend www 192.0.2.1:$NOBODY -", "frontend www 192.0.2.1:81 192.0.2.1:81",
		"frontend www quic4@:443 -", "frontend www /run/haproxy/www.sock -", "frontend www abns@www -", "frontend www www.example.com:80 -",
		"frontend www 192.0.2.1:0 -", "listen stats 127.0.0.1:8404 127.0.0.1:8404", "peers p 192.0.2.1:1024 192.0.2.1:1024", "log-forward l 127.0.0.1:514 -",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !slices.Equal(found.Frontends, []string{"www", "stats"}) {
		t.Errorf("frontends %v", found.Frontends)
	}
	if l := found.Listeners[0].String(); l != "192.0.2.1:80 (frontend www, line 8)" {
		t.Errorf("it is told as %q", l)
	}
}

func TestKeepFound(t *testing.T) {
	t.Parallel()
	want := Config{Sections: []Section{{Kind: "frontend", Lines: []Line{{Text: "bind 192.0.2.1:80,192.0.2.2:80,0.0.0.0:443,[::]:8080"}}}}}
	machine := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
	for text, lost := range map[string][]string{
		"192.0.2.1:80":    nil,
		"192.0.2.3:80":    {"192.0.2.3:80"},
		"*:80":            {"127.0.0.1:80"},
		"*:443":           nil,
		"192.0.2.9:443":   nil,
		"[::]:443":        {"[2001:db8::1]:443"},
		"[::]:443 v4v6":   {"[2001:db8::1]:443"},
		"[::]:8080":       nil,
		"[::]:8080 v4v6":  {"127.0.0.1:8080", "192.0.2.1:8080"},
		"/run/x.sock":     {""},
		"192.0.2.1:$WHAT": {""},
	} {
		kept := KeepFound(ReadFound("frontend f\n bind "+text, nil), want, machine)
		if len(kept) != 1 || !slices.Equal(kept[0].Lost, lost) {
			t.Errorf("%s: %+v, want %q to be lost", text, kept, lost)
		}
	}
}

func TestSeedState(t *testing.T) {
	t.Parallel()
	server := func(name, address string) Server {
		return Server{Name: name, Address: address, ID: 7, Weight: 50, Check: true, Options: "check inter 2s rise 4 fall 5"}
	}
	rows := []StatRow{
		{Type: StatServer, Address: "192.0.2.1:80", Status: "UP"},
		{Type: StatServer, Address: "192.0.2.2:80", Status: "DOWN"},
		{Type: StatServer, Address: "192.0.2.3:80", Status: "no check"},
		{Type: StatServer, Address: "", Status: "UP"},
		{Type: StatBackend, Status: "UP"},
	}
	text := SeedState(rows, Config{Backends: []Backend{
		{Name: "known", Servers: []Server{server("up", "192.0.2.1:80"), server("down", "192.0.2.2:80"), server("unchecked", "192.0.2.3:80"), server("new", "192.0.2.9:80")}},
		{Name: "strange", Servers: []Server{server("a", "192.0.2.8:80"), {Name: "unchecked", Address: "192.0.2.8:81"}}},
	}})
	states, err := ParseServersState(text)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range states {
		got = append(got, s.Backend+"/"+s.Server)
		if !s.Up() || s.Weight != 50 || s.CheckHealth != 8 {
			t.Errorf("%s/%s: %+v", s.Backend, s.Server, s)
		}
	}
	if want := []string{"known/up", "known/unchecked", "strange/a"}; !slices.Equal(got, want) {
		t.Errorf("up from the start are %v, want %v", got, want)
	}
}

// What is quoted is read as it was.
func TestQuoted(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"/var/lib/weir", "/with a blank/x", `/it's/"quoted"/$HOME\x#y`, "unix@/run/a.sock", ""} {
		if got := wordsOf("default-path origin "+Quoted(word), map[string]string{"HOME": "/root"}); len(got) != 3 || got[2] != word {
			t.Errorf("%q is written %s and read as %q", word, Quoted(word), got)
		}
	}
}

func FuzzReadFound(f *testing.F) {
	f.Add("frontend f\n bind *:80,\"${X}\":1-9 v4v6 # c\n")
	f.Add("bind 'a\\\n${")
	f.Fuzz(func(t *testing.T, text string) {
		found := ReadFound(text, map[string]string{"X": "192.0.2.1"})
		for _, k := range KeepFound(found, Config{}, []netip.Addr{netip.MustParseAddr("192.0.2.1")}) {
			if k.Addr.IsValid() && k.Addr.Port() == 0 {
				t.Errorf("%v listens at port 0", k)
			}
		}
	})
}
