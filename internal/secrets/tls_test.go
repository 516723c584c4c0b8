package secrets

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

// testServer answers each connection with the state and name of its peer.
type testServer struct {
	addr string
	ca   *CA
	now  func() time.Time
}

func serve(t *testing.T, ca *CA, pair tls.Certificate, now func() time.Time) testServer {
	t.Helper()
	conf := ServerTLS(ServerConfig{
		Certificate: func() *tls.Certificate { return &pair },
		Trust:       ca.Trust,
		Now:         now,
	})
	l, err := tls.Listen("tcp", "127.0.0.1:0", conf)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			tc := conn.(*tls.Conn)
			if tc.Handshake() == nil {
				cs := tc.ConnectionState()
				p := ca.Trust().Peer(&cs, now())
				if len(cs.VerifiedChains) > 0 {
					p.Name = "crypto/tls calls it verified"
				}
				_, _ = io.WriteString(tc, p.State.String()+" "+p.Name)
			}
			_ = tc.Close()
		}
	}()
	return testServer{addr: l.Addr().String(), ca: ca, now: now}
}

func serveFor(t *testing.T, ca *CA, now func() time.Time, names ...string) testServer {
	t.Helper()
	pair, err := ca.IssueServer(names, []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, ca, pair, now)
}

// ask connects and gives the server's answer.
func (s testServer) ask(t *testing.T, c ClientConfig) (string, error) {
	t.Helper()
	if c.Now == nil {
		c.Now = s.now
	}
	conf, err := ClientTLS(c)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(raw, conf)
	defer func() { _ = conn.Close() }()
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

func TestPin(t *testing.T) {
	c := newClock()
	ca, other := testCA(t, c), testCA(t, c)
	s := serveFor(t, ca, c.now, "weir.example")
	for _, host := range []string{"127.0.0.1", "weir.example", "[127.0.0.1]"} {
		if got, err := s.ask(t, ClientConfig{ServerName: host, CAHash: strings.ToUpper(ca.CAHash())}); got != "none " || err != nil {
			t.Errorf("%s: %q, %v", host, got, err)
		}
		if got, err := s.ask(t, ClientConfig{ServerName: host, Trust: ca.Trust()}); got != "none " || err != nil {
			t.Errorf("%s, known CA: %q, %v", host, got, err)
		}
	}
	for what, conf := range map[string]ClientConfig{
		"another pin":        {ServerName: "127.0.0.1", CAHash: other.CAHash()},
		"another name":       {ServerName: "evil.example", CAHash: ca.CAHash()},
		"another address":    {ServerName: "127.0.0.2", CAHash: ca.CAHash()},
		"trust, other name":  {ServerName: "evil.example", Trust: ca.Trust()},
		"another CA":         {ServerName: "127.0.0.1", Trust: other.Trust()},
		"trust goes first":   {ServerName: "127.0.0.1", Trust: other.Trust(), CAHash: ca.CAHash()},
		"it has run out":     {ServerName: "127.0.0.1", CAHash: ca.CAHash(), Now: func() time.Time { return c.now().Add(366 * day) }},
		"it is not valid":    {ServerName: "127.0.0.1", CAHash: ca.CAHash(), Now: func() time.Time { return c.now().Add(-2 * time.Hour) }},
		"out, known CA":      {ServerName: "127.0.0.1", Trust: ca.Trust(), Now: func() time.Time { return c.now().Add(366 * day) }},
		"pin of server leaf": {ServerName: "127.0.0.1", CAHash: CAHash(s.leaf(t))},
	} {
		got, err := s.ask(t, conf)
		if err == nil || got != "" {
			t.Errorf("%s: %q", what, got)
		}
		if conf.Trust == nil && !errors.Is(err, ErrPin) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := s.ask(t, ClientConfig{ServerName: "127.0.0.1", CAHash: other.CAHash()})
	if err == nil || !strings.Contains(err.Error(), ca.CAHash()) || !strings.Contains(err.Error(), other.CAHash()) {
		t.Errorf("the error does not name both hashes: %v", err)
	}
}

func (s testServer) leaf(t *testing.T) *x509.Certificate {
	t.Helper()
	conf, err := ClientTLS(ClientConfig{ServerName: "127.0.0.1", CAHash: s.ca.CAHash(), Now: s.now})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", s.addr, conf)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if ca, err := PinnedCA(conn.ConnectionState(), s.ca.CAHash()); err != nil || CAHash(ca) != s.ca.CAHash() {
		t.Errorf("%v, %v", ca, err)
	}
	return conn.ConnectionState().PeerCertificates[0]
}

// A thief of nothing: shows the right CA certificate behind a leaf that this CA never signed.
func TestPinWantsTheLeafSigned(t *testing.T) {
	c := newClock()
	ca, evil := testCA(t, c), testCA(t, c)
	pair, err := evil.IssueServer(nil, []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	pair.Certificate = [][]byte{pair.Certificate[0], ca.state.Load().cert.Raw}
	s := serve(t, ca, pair, c.now)
	if got, err := s.ask(t, ClientConfig{ServerName: "127.0.0.1", CAHash: ca.CAHash()}); !errors.Is(err, ErrPin) || got != "" {
		t.Errorf("%q, %v", got, err)
	}
}

// An agent can't play the control plane for another agent.
func TestPinRefusesAgentsAsServers(t *testing.T) {
	c := newClock()
	ca := testCA(t, c)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _, err := ca.sign(&x509.Certificate{DNSNames: []string{"weir.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, day, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, ca, tls.Certificate{Certificate: [][]byte{leaf.Raw, ca.state.Load().cert.Raw}, PrivateKey: key}, c.now)
	if got, err := s.ask(t, ClientConfig{ServerName: "weir.example", CAHash: ca.CAHash()}); !errors.Is(err, ErrPin) || got != "" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestClientTLSNeedsSomeoneToBelieve(t *testing.T) {
	for _, conf := range []ClientConfig{{}, {ServerName: "a"}, {ServerName: "a", CAHash: "sha256:12"}, {CAHash: testCAHash}, {ServerName: "[]", CAHash: testCAHash}} {
		if _, err := ClientTLS(conf); err == nil {
			t.Errorf("%+v was taken", conf)
		}
	}
}

func TestServerKnowsItsAgents(t *testing.T) {
	c := newClock()
	ca := testCA(t, c)
	s := serveFor(t, ca, c.now, "weir.example")
	// The client's clock stands still, so that the server's certificate stays good for it.
	start := c.now()
	conf := ClientConfig{ServerName: "weir.example", Trust: ca.Trust(), Now: func() time.Time { return start }}
	key := newTestKey(t)
	cert, _ := issue(t, ca, key, "lb1")
	agent, err := AgentCertificate(key, ca.ChainPEM(cert))
	if err != nil {
		t.Fatal(err)
	}
	var show *tls.Certificate
	conf.Certificate = func() *tls.Certificate { return show }
	if got, err := s.ask(t, conf); got != "none " || err != nil {
		t.Errorf("without one: %q, %v", got, err)
	}
	show = &agent
	for _, step := range []struct {
		move time.Duration
		want string
	}{{0, "valid lb1"}, {30 * day, "valid lb1"}, {time.Second, "expired lb1"}, {300 * day, "expired lb1"}} {
		c.move(step.move)
		if got, err := s.ask(t, conf); got != step.want || err != nil {
			t.Errorf("after %v: %q, %v; want %q", c.now().Sub(start), got, err, step.want)
		}
	}
	c.move(-400 * day)
	if got, err := s.ask(t, conf); err == nil || got != "" {
		t.Errorf("not valid yet: %q", got)
	}
}

func TestServerRefusesForeignCertificates(t *testing.T) {
	c := newClock()
	ca, evil := testCA(t, c), testCA(t, c)
	s := serveFor(t, ca, c.now, "weir.example")
	key := newTestKey(t)
	foreign, _ := issue(t, evil, key, "lb1")
	own, _ := issue(t, ca, key, "lb1")
	server, err := ca.IssueServer([]string{"weir.example"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	nameless, _, err := ca.sign(&x509.Certificate{URIs: []*url.URL{{Scheme: "weir", Host: "user", Path: "/lb1"}}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, day, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	notClient, _, err := ca.sign(&x509.Certificate{URIs: []*url.URL{agentURI("lb1")}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, day, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	csr, err := CSR(key, "lb1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.Trust().VerifyRenewal(notClient, csr, c.now()); err == nil {
		t.Error("a certificate not for clients was renewed")
	}
	for what, cert := range map[string]tls.Certificate{
		"not for clients":      {Certificate: [][]byte{notClient.Raw}, PrivateKey: key},
		"another CA":           {Certificate: [][]byte{foreign.Raw, ca.state.Load().cert.Raw}, PrivateKey: key},
		"the control plane":    server,
		"no load balancer":     {Certificate: [][]byte{nameless.Raw}, PrivateKey: key},
		"a key of another one": {Certificate: [][]byte{own.Raw}, PrivateKey: newTestKey(t)},
	} {
		got, err := s.ask(t, ClientConfig{ServerName: "weir.example", Trust: ca.Trust(), Certificate: func() *tls.Certificate { return &cert }})
		if err == nil || got != "" {
			t.Errorf("%s: %q", what, got)
		}
	}
}

func TestPeer(t *testing.T) {
	c := newClock()
	ca := testCA(t, c)
	cert, _ := issue(t, ca, newTestKey(t), "lb1")
	foreign, _ := issue(t, testCA(t, c), newTestKey(t), "lb1")
	for _, s := range []struct {
		cs   *tls.ConnectionState
		want PeerState
	}{
		{nil, PeerNone},
		{&tls.ConnectionState{}, PeerNone},
		{&tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}, PeerValid},
		{&tls.ConnectionState{PeerCertificates: []*x509.Certificate{foreign}}, PeerRefused},
		{&tls.ConnectionState{PeerCertificates: []*x509.Certificate{foreign, cert}}, PeerRefused},
	} {
		p := ca.Trust().Peer(s.cs, c.now())
		if p.State != s.want || (p.Err != nil) != (s.want == PeerRefused) || (p.Name != "") != (s.want == PeerValid) {
			t.Errorf("%+v, want %v", p, s.want)
		}
	}
}

// The settings carry HTTP/2, and a handler learns from the request who asks.
func TestHTTP2(t *testing.T) {
	c := newClock()
	ca := testCA(t, c)
	pair, err := ca.IssueServer([]string{"weir.example"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	key := newTestKey(t)
	cert, _ := issue(t, ca, key, "lb1")
	agent, err := AgentCertificate(key, ca.ChainPEM(cert))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{
		TLSConfig: ServerTLS(ServerConfig{Certificate: func() *tls.Certificate { return &pair }, Trust: ca.Trust, Now: c.now}),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p := ca.Trust().Peer(r.TLS, c.now())
			_, _ = io.WriteString(w, r.Proto+" "+p.State.String()+" "+p.Name)
		}),
	}
	done := make(chan error, 1)
	go func() { done <- srv.ServeTLS(l, "", "") }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	conf, err := ClientTLS(ClientConfig{ServerName: "weir.example", CAHash: ca.CAHash(), Now: c.now, Certificate: func() *tls.Certificate { return &agent }})
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr}).Get("https://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if got, err := io.ReadAll(res.Body); err != nil || string(got) != "HTTP/2.0 valid lb1" {
		t.Errorf("%s, %v", got, err)
	}
}

func TestServerTLSWithoutCertificate(t *testing.T) {
	c := newClock()
	ca := testCA(t, c)
	conf := ServerTLS(ServerConfig{Certificate: func() *tls.Certificate { return nil }, Trust: ca.Trust, Now: c.now})
	if _, err := conf.GetConfigForClient(nil); err == nil {
		t.Error("answers without a certificate")
	}
}
