package explain_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir"
	"weir/internal/explain"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// got is what HAProxy made of a request.
type got struct {
	closed bool
	status int
	header http.Header
	body   string
	seen   *seen
}

// send asks HAProxy from the client's own address.
func (w *world) send(q explain.Request) (got, error) {
	to := netip.AddrPortFrom(w.node.Group.Ranges[0].Addr(), uint16(q.Port)).String() // which no IPAddress has
	for _, a := range w.node.Addresses {
		if a.Name == q.Address {
			to = netip.AddrPortFrom(a.Address, uint16(q.Port)).String()
		}
	}
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(q.From, 0)), Timeout: weirtest.Patience}
	conn, err := dialer.Dial("tcp", to)
	if err != nil {
		return got{closed: true}, nil
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(weirtest.Patience))
	if m := w.mode(q.Port); m == weir.PortHTTPS || m == weir.PortTLSTCP {
		secure := tls.Client(conn, &tls.Config{ServerName: q.Name, InsecureSkipVerify: true})
		if err := secure.Handshake(); err != nil {
			return got{closed: true}, nil
		}
		conn = secure
	}
	var raw strings.Builder
	fmt.Fprintf(&raw, "%s %s HTTP/1.1\r\nHost: %s\r\n", q.Method, q.Target, q.Host)
	for _, f := range q.Header {
		fmt.Fprintf(&raw, "%s: %s\r\n", f.Name, f.Value)
	}
	raw.WriteString("Content-Length: 0\r\nConnection: close\r\n\r\n")
	if _, err := io.WriteString(conn, raw.String()); err != nil {
		return got{closed: true}, nil
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: q.Method})
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return got{closed: true}, nil
	}
	if err != nil {
		return got{}, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return got{}, err
	}
	g := got{status: answer.StatusCode, header: answer.Header, body: string(body)}
	if told := answer.Header.Get("X-Seen"); told != "" {
		g.seen = new(seen)
		if err := json.Unmarshal([]byte(told), g.seen); err != nil {
			return got{}, err
		}
	}
	return g, nil
}

func (w *world) mode(p weir.Port) weir.PortMode {
	for _, b := range w.node.Tuning.Ports {
		if b.Port == p {
			return b.Mode
		}
	}
	for _, s := range w.node.Sites {
		for _, l := range s.Listeners {
			if l.Port == p {
				return l.Mode
			}
		}
	}
	return ""
}

// differ says what of an answer is not as it was explained, "" for nothing.
func (w *world) differ(q explain.Request, a explain.Verdict, g got) string {
	tcp := w.mode(q.Port) == weir.PortTCP || w.mode(q.Port) == weir.PortTLSTCP
	if tcp && g.closed && (a.Outcome == explain.Tried || a.Outcome == explain.Unserved) {
		return "" // nobody is there, and nothing can be said
	}
	if a.Outcome == explain.Closed || g.closed {
		return differs("closed", a.Outcome == explain.Closed, g.closed)
	}
	switch a.Outcome {
	case explain.Served, explain.Tried:
		return w.differServed(q, a, g)
	}
	if g.seen != nil {
		return "a server was asked: " + g.seen.Address
	}
	why := differs("status", a.Status, g.status) + differs("location", a.Location, g.header.Get("Location")) + differs("retry-after", a.RetryAfter, g.header.Get("Retry-After"))
	if a.Text != "" && q.Method != http.MethodHead {
		why += differs("body", a.Text+"\n", g.body)
	}
	if i := slices.IndexFunc(w.node.Pages, func(p ir.Page) bool { return p.Name == a.Page }); i >= 0 && q.Method != http.MethodHead {
		why += differs("body", w.node.Pages[i].Body, g.body)
	}
	return why
}

func (w *world) differServed(q explain.Request, a explain.Verdict, g got) string {
	if g.seen == nil {
		if g.status == 400 && g.header.Get("Content-Type") == "text/plain; charset=utf-8" {
			return "" // the origin itself does not like the path
		}
		if (a.Outcome == explain.Tried || a.Unserved > 0) && g.status == 503 { // none of them is there
			return ""
		}
		return fmt.Sprintf("no server was asked, status %d", g.status)
	}
	zones := slices.Clone(a.Zones)
	if a.Fallback != nil {
		zones = append(zones, *a.Fallback)
	}
	if !slices.ContainsFunc(zones, func(s explain.Share) bool { return s.Percent > 0 && w.serves(s, g.seen.Address) }) {
		return fmt.Sprintf("%s was asked, which is none of %v", g.seen.Address, zones)
	}
	if m := w.mode(q.Port); m == weir.PortTCP || m == weir.PortTLSTCP {
		return "" // nothing of it is looked at
	}
	why := differs("method", q.Method, g.seen.Method)
	if a.Call == nil || a.Target != "" { // of several services each has a path of its own
		why += differs("target", a.Target, g.seen.Target)
	}
	for _, h := range a.Headers {
		if h.Name == "Host" {
			why += differs("host", h.Values[0], g.seen.Host)
			continue
		}
		why += differs("header "+h.Name, fmt.Sprint(h.Values), fmt.Sprint(append([]string{}, g.seen.Header.Values(h.Name)...)))
	}
	for _, change := range a.ResponseHeaders {
		if name, value, ok := strings.Cut(strings.TrimPrefix(change, "set "), ": "); ok {
			why += differs("response header "+name, value, g.header.Get(name))
		}
	}
	return why
}

// serves says whether one of the servers of a share is at an address.
func (w *world) serves(s explain.Share, address string) bool {
	for _, p := range w.node.Pools {
		for _, server := range p.Servers {
			if p.Name == s.Pool && server.Address.String() == address && slices.Contains(s.Servers, server.Name) {
				return true
			}
		}
	}
	return false
}

func differs[T comparable](what string, want, is T) string {
	if want == is {
		return ""
	}
	return fmt.Sprintf("%s: explained %v, was %v; ", what, want, is)
}

// compare asks a HAProxy so many requests: how often each outcome came, and where it was not as explained of node.
func (w *world) compare(node ir.Node, requests int) (outcomes map[explain.Outcome]int, disagree []string) {
	return w.compareAll(node, requests, func(*explain.Verdict) {})
}

// compareAll tells each answer that was held against HAProxy's.
func (w *world) compareAll(node ir.Node, requests int, tell func(*explain.Verdict)) (outcomes map[explain.Outcome]int, disagree []string) {
	outcomes = map[explain.Outcome]int{}
	for range requests {
		q := w.request()
		if w.mode(q.Port) == weir.PortTLSPassthrough {
			continue // the origins speak no TLS
		}
		trace := explain.Explain(node, q, explain.View{Health: w.alive})
		g, err := w.send(q)
		if err != nil {
			disagree = append(disagree, fmt.Sprintf("%s: %v", say(q), err))
			continue
		}
		outcomes[trace.Answer.Outcome]++
		tell(&trace.Answer)
		if why := w.differ(q, trace.Answer, g); why != "" && len(trace.Unsure) == 0 {
			var steps strings.Builder
			for _, s := range trace.Steps {
				fmt.Fprintf(&steps, "\n\t%s %s %s: %s", s.About, s.Object, s.Field, s.Says)
			}
			for _, s := range node.Sites {
				if routes, err := json.Marshal(s.Routes); err == nil && s.Name == trace.Answer.Site {
					fmt.Fprintf(&steps, "\n\t%s", routes)
				}
			}
			disagree = append(disagree, fmt.Sprintf("%s: %s%s", say(q), why, steps.String()))
		}
	}
	return outcomes, disagree
}

func rounds(short, soak int) int {
	if os.Getenv("WEIR_SOAK") != "" {
		return soak
	}
	return short
}

// What is explained is what HAProxy does, on random sites and requests.
func TestExplainedAsHAProxyDoes(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		total := map[explain.Outcome]int{}
		few := func() bool {
			return slices.ContainsFunc([]explain.Outcome{explain.Served, explain.Redirected, explain.Refused, explain.Paged, explain.Maintenance, explain.Closed}, func(o explain.Outcome) bool { return total[o] < 3 })
		}
		for seed := 0; seed < rounds(3, 60) || few() && seed < 300; seed++ {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				w := newWorld(t, h, uint64(seed), false)
				outcomes, disagree := w.compare(w.node, 250)
				for _, d := range disagree[:min(len(disagree), 5)] {
					t.Error(d)
				}
				if len(disagree) > 5 {
					t.Errorf("and %d more", len(disagree)-5)
				}
				for o, n := range outcomes {
					total[o] += n
				}
			})
		}
		if few() {
			t.Errorf("too few requests of some kind to show anything: %v", total)
		}
	})
}
