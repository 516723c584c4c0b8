package haproxy_test

import (
	"fmt"
	"io"
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

const aToken, anAnswer = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA", "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"

// challenged lets www be served at port 80, and a site of its own redirect there.
func challenged(n *ir.Node) {
	n.Challenges = []ir.Challenge{{Token: aToken, Answer: anAnswer}, {Token: "no token", Answer: "x\n/ y"}}
	for i := range n.Sites {
		if s := &n.Sites[i]; s.Name == "www" {
			s.Listeners = append([]ir.Listener{{Port: 80, Mode: weir.PortHTTP}}, s.Listeners...)
		}
	}
	n.Sites = append(n.Sites, ir.Site{
		Name: "zz", Mode: "http", Hostnames: []string{"zz.example"}, Addresses: []string{"vip1"},
		Listeners: []ir.Listener{{Port: 80, Mode: weir.PortHTTP, RedirectTo: 443}},
	})
}

// ask sends a request line and a Host to a port and gives the answer's status, type and body.
func (p proxy) ask(t *testing.T, port int, line, host string) string {
	t.Helper()
	conn, err := net.Dial("tcp", p.addr(17, port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := fmt.Fprintf(conn, "%s\r\nHost: %s\r\nConnection: close\r\n\r\n", line, host); err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(raw), "\r\n\r\n")
	kind := ""
	for line := range strings.SplitSeq(head, "\r\n") {
		if name, value, _ := strings.Cut(line, ": "); strings.EqualFold(name, "content-type") || strings.EqualFold(name, "location") {
			kind = value
		}
	}
	return strings.Fields(head)[1] + " " + kind + " " + body
}

// TestChallengesAreAnswered: at port 80 before any redirect and whatever the host is, by the whole path only, and
// what is asked of a site's own client of an authority reaches it.
func TestChallengesAreAnswered(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		p := startProxy(t, h, challenged)
		path := "/.well-known/acme-challenge/"
		answered := "200 text/plain " + anAnswer
		for _, c := range []struct {
			name, line, host, want string
		}{
			{"a site that redirects", "GET " + path + aToken + " HTTP/1.1", "zz.example", answered},
			{"a site that serves", "GET " + path + aToken + " HTTP/1.1", "www.example", answered},
			{"a query", "GET " + path + aToken + "?x=1 HTTP/1.1", "zz.example", answered},
			{"a name of no site", "GET " + path + aToken + " HTTP/1.1", "other.example", answered},
			{"an absolute URI", "GET http://zz.example" + path + aToken + " HTTP/1.1", "zz.example", answered},
			{"all else redirects", "GET / HTTP/1.1", "zz.example", "308 https://zz.example/ "},
			{"another token, redirected", "GET " + path + "other HTTP/1.1", "zz.example", "308 https://zz.example" + path + "other "},
			{"the token and more", "GET " + path + aToken + "/x HTTP/1.1", "zz.example", "308 https://zz.example" + path + aToken + "/x "},
			{"part of the token", "GET " + path + aToken[:9] + " HTTP/1.1", "zz.example", "308 https://zz.example" + path + aToken[:9] + " "},
		} {
			if got := p.ask(t, 80, c.line, c.host); got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		}
		p.origins[35].SetStatus(path+"own", 203)
		if got := p.ask(t, 80, "GET "+path+"own HTTP/1.1", "www.example"); !strings.HasPrefix(got, "203 ") {
			t.Errorf("a token of the site's own client: %q", got)
		}
		if got := p.ask(t, 8080, "GET "+path+aToken+" HTTP/1.1", "www.example"); strings.Contains(got, anAnswer) {
			t.Errorf("answered at another port: %q", got)
		}
	})
}

func TestAnswersChallenges(t *testing.T) {
	t.Parallel()
	n := testNode(netip.MustParsePrefix("127.9.9.0/24"))
	if haproxy.AnswersChallenges(&n) {
		t.Error("without port 80")
	}
	c := haproxy.Render(n, haproxy.Env{Version: haproxy.Version{Major: 3, Minor: 4}})
	if text, _ := c.Text(); strings.Contains(text, "acme-challenge") {
		t.Error("the rule is there without port 80")
	}
	challenged(&n)
	if !haproxy.AnswersChallenges(&n) {
		t.Error("with port 80")
	}
	for i := range n.Sites {
		for j := range n.Sites[i].Listeners {
			if l := &n.Sites[i].Listeners[j]; l.Port == 80 {
				l.Mode = weir.PortTLSPassthrough
			}
		}
	}
	if haproxy.AnswersChallenges(&n) {
		t.Error("port 80 speaks no http")
	}
	n.Tuning.Ports = append(n.Tuning.Ports, weir.BoundPort{Port: 80, Mode: weir.PortHTTP})
	if !haproxy.AnswersChallenges(&n) {
		t.Error("port 80 is bound in advance")
	}
}
