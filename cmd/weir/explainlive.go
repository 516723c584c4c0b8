package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"weir/internal/api"
	"weir/internal/explain"
)

// liveAnswer is what came back when a request was sent.
type liveAnswer struct {
	// To is where it was sent, From the address that it was sent from.
	To   string `json:"to"`
	From string `json:"from,omitempty"`
	// Closed says that the connection was refused, or closed without an answer.
	Closed   string `json:"closed,omitempty"`
	Status   int    `json:"status,omitempty"`
	Location string `json:"location,omitempty"`
	Took     string `json:"took,omitempty"`
	// Seen is what of the answer is as it was explained, Differs what is not, in sentences.
	Seen    []string `json:"seen,omitempty"`
	Differs []string `json:"differs,omitempty"`
	header  http.Header
}

// liveFlags say where and how a request is sent.
type liveFlags struct {
	connect, ca string
	insecure    bool
	within      time.Duration
}

// dial connects to where the request is to be sent.
func (f *liveFlags) dial(ctx context.Context, q *api.ExplainedRequest) (net.Conn, string, error) {
	to := f.connect
	if to == "" {
		if q.IP == "" {
			return nil, "", usagef("nobody knows where to send it; say --connect HOST:PORT")
		}
		to = net.JoinHostPort(q.IP, q.Port.String())
	}
	conn, err := (&net.Dialer{Timeout: f.within}).DialContext(ctx, "tcp", to)
	return conn, to, err
}

// send makes the request that was explained, as it was explained, and reads the head of the answer.
func (f *liveFlags) send(conn net.Conn, q *api.ExplainedRequest) (*liveAnswer, error) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(f.within))
	live := &liveAnswer{From: conn.LocalAddr().String()}
	u, err := url.Parse(q.URL)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "https" {
		settings := &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: f.insecure, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS10}
		if f.ca != "" {
			text, err := os.ReadFile(f.ca)
			if err != nil {
				return nil, err
			}
			settings.RootCAs = x509.NewCertPool()
			if !settings.RootCAs.AppendCertsFromPEM(text) {
				return nil, fmt.Errorf("%s holds no certificate", f.ca)
			}
		}
		secure := tls.Client(conn, settings)
		if err := secure.Handshake(); err != nil {
			var cert *tls.CertificateVerificationError
			if errors.As(err, &cert) {
				return nil, fmt.Errorf("%w; --ca-of-site FILE names another authority, --insecure believes anybody", err)
			}
			live.Closed = err.Error()
			return live, nil
		}
		conn = secure
	}
	start := time.Now()
	if _, err := io.WriteString(conn, wireOf(q, u)); err != nil {
		live.Closed = err.Error()
		return live, nil
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: q.Method})
	if err != nil {
		live.Closed = err.Error()
		return live, nil
	}
	_ = answer.Body.Close()
	live.Status, live.Location, live.header, live.Took = answer.StatusCode, answer.Header.Get("Location"), answer.Header, time.Since(start).Round(time.Millisecond).String()
	return live, nil
}

// wireOf writes the request as it was explained, byte by byte.
func wireOf(q *api.ExplainedRequest, u *url.URL) string {
	target := "/"
	rest := q.URL[strings.Index(q.URL, "://")+3:]
	rest, _, _ = strings.Cut(rest, "#")
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		if target = rest[i:]; target[0] == '?' {
			target = "/" + target
		}
	}
	host := u.Host
	var more strings.Builder
	for _, h := range q.Headers {
		if name, value, _ := strings.Cut(h, ": "); strings.EqualFold(name, "Host") {
			host = value
			continue
		}
		more.WriteString(h + "\r\n")
	}
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n", q.Method, target, host, more.String())
}

// hold holds what came back against what was explained. Which server answered is known only where it leaves a cookie.
func (l *liveAnswer) hold(a *explain.Verdict) {
	differ := func(what, explained, was string) {
		if explained == was {
			l.Seen = append(l.Seen, what+" "+was)
			return
		}
		l.Differs = append(l.Differs, fmt.Sprintf("%s: explained was %s, what came is %s", what, orNothing(explained), orNothing(was)))
	}
	if a.Outcome == explain.Closed || l.Closed != "" {
		differ("the connection", map[bool]string{true: "closed", false: "answered"}[a.Outcome == explain.Closed], map[bool]string{true: "closed", false: "answered"}[l.Closed != ""])
		return
	}
	if a.Outcome != explain.Served && a.Outcome != explain.Tried {
		differ("the status", fmt.Sprint(a.Status), fmt.Sprint(l.Status))
		differ("the location", a.Location, l.Location)
		return
	}
	if slices.Contains([]int{429, 502, 503, 504}, l.Status) {
		l.Differs = append(l.Differs, fmt.Sprintf("a server was to answer; %d is what load balancers say when none does, or when a rate limit is passed", l.Status))
	}
	for _, c := range (&http.Response{Header: l.header}).Cookies() {
		for _, known := range []struct {
			cookie, what string
			of           func(*explain.Share) []string
		}{
			{"WEIRZONE", "the zone", func(s *explain.Share) []string { return []string{s.Zone} }},
			{"", "the server", func(s *explain.Share) []string { return s.Servers }},
		} {
			l.holdCookie(a, c, known.cookie, known.what, known.of)
		}
	}
	for _, change := range a.ResponseHeaders {
		if name, value, ok := strings.Cut(strings.TrimPrefix(change, "set "), ": "); ok && strings.HasPrefix(change, "set ") {
			differ("the header "+name, value, l.header.Get(name))
		}
	}
}

// holdCookie holds a cookie against the zones of the answer, or the servers of pools that leave one.
func (l *liveAnswer) holdCookie(a *explain.Verdict, c *http.Cookie, cookie, what string, of func(*explain.Share) []string) {
	var may []string
	for _, s := range a.Pools() {
		if name := cookie; name == c.Name || name == "" && s.Cookie == c.Name {
			may = append(may, of(s)...)
		}
	}
	switch {
	case len(may) == 0:
	case slices.Contains(may, c.Value):
		l.Seen = append(l.Seen, what+" "+c.Value)
	default:
		l.Differs = append(l.Differs, fmt.Sprintf("%s: explained was %s, what came is %s", what, strings.Join(may, " or "), clean(c.Value)))
	}
}

func orNothing(s string) string {
	if s == "" {
		return "none"
	}
	return clean(s)
}

// fromOf gives the address that a connection is made from.
func fromOf(conn net.Conn) string {
	if a, err := netip.ParseAddrPort(conn.LocalAddr().String()); err == nil {
		return a.Addr().Unmap().String()
	}
	return ""
}

// printLive shows what came back.
func printLive(s *screen, l *liveAnswer) {
	s.line("")
	from := ""
	if l.From != "" {
		from = " from " + l.From
	}
	what := fmt.Sprintf("closed without an answer (%s)", clean(l.Closed))
	if l.Closed == "" {
		what = fmt.Sprintf("%d in %s", l.Status, l.Took)
	}
	s.line(s.wrapped("", s.title("Sent")+fmt.Sprintf(" to %s%s: %s.", l.To, from, what)))
	for _, d := range l.Differs {
		s.line(s.wrapped("", s.bad("✗")+" "+d))
	}
	if len(l.Seen) > 0 {
		s.line(s.wrapped("", s.good("✓")+" As explained: "+clean(strings.Join(l.Seen, ", "))))
	} else if len(l.Differs) == 0 {
		s.line(s.wrapped("", s.good("✓")+" A server may have said this; which one, and what it was asked, can't be seen from here."))
	}
}
