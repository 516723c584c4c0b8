package weirtest

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// pebbleNames are the names that a Pebble sees: it answers questions for addresses and for TXT records, and http-01
// challenges. (challtestsrv is not it, because it has one handler for all name servers of a process.)
type pebbleNames struct {
	mu        sync.Mutex
	usual     string // the address of what has none of its own
	addresses map[string]string
	records   map[string][]string
	answers   map[string]string // by token
}

// serve starts the name server, for TCP alone, and the one for HTTP where an address for it is given.
func (n *pebbleNames) serve(t testing.TB, nameAddr, httpAddr string) {
	t.Helper()
	n.addresses, n.records, n.answers = map[string]string{}, map[string][]string{}, map[string]string{}
	listener, err := net.Listen("tcp", nameAddr)
	if err != nil {
		t.Fatalf("start Pebble's name server: %v", err)
	}
	started := make(chan struct{})
	names := &dns.Server{Listener: listener, Handler: dns.HandlerFunc(n.answerDNS), NotifyStartedFunc: func() { close(started) }}
	go func() { _ = names.ActivateAndServe() }() // ends with the test
	<-started
	t.Cleanup(func() { _ = names.Shutdown() })
	if httpAddr == "" {
		return
	}
	if listener, err = net.Listen("tcp", httpAddr); err != nil {
		t.Fatalf("start the server for http-01 challenges: %v", err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(n.answerHTTP), ReadHeaderTimeout: time.Minute}
	go func() { _ = srv.Serve(listener) }() // ends with the test
	t.Cleanup(func() { _ = srv.Close() })
}

func (n *pebbleNames) answerDNS(w dns.ResponseWriter, question *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(question)
	for _, q := range question.Question {
		name := strings.ToLower(strings.TrimSuffix(q.Name, "."))
		for _, text := range n.lookup(q.Qtype, name) {
			if r, err := dns.NewRR(fmt.Sprintf("%s 1 IN %s %s", q.Name, dns.TypeToString[q.Qtype], text)); err == nil {
				m.Answer = append(m.Answer, r)
			}
		}
	}
	_ = w.WriteMsg(m) // whoever has gone away asks again
}

func (n *pebbleNames) lookup(kind uint16, name string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	address := n.addresses[name]
	if address == "" {
		address = n.usual
	}
	switch is6 := strings.Contains(address, ":"); {
	case kind == dns.TypeTXT:
		return slices.Clone(n.records[name])
	case kind == dns.TypeA && !is6, kind == dns.TypeAAAA && is6:
		return []string{address}
	}
	return nil
}

func (n *pebbleNames) answerHTTP(w http.ResponseWriter, r *http.Request) {
	token, ok := strings.CutPrefix(r.URL.Path, "/.well-known/acme-challenge/")
	n.mu.Lock()
	answer, known := n.answers[token]
	n.mu.Unlock()
	if !ok || !known {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write([]byte(answer)) // whoever has gone away asks again
}

// Resolve lets a name lead to an address, for http-01 challenges.
func (p *Pebble) Resolve(name, address string) {
	p.names.mu.Lock()
	defer p.names.mu.Unlock()
	p.names.addresses[name] = address
}

// PresentHTTP answers an http-01 challenge at all names that lead to Pebble's own server.
func (p *Pebble) PresentHTTP(token, keyAuthorization string) {
	p.names.mu.Lock()
	defer p.names.mu.Unlock()
	p.names.answers[token] = keyAuthorization
}

// PresentDNS adds a TXT record, for a dns-01 challenge.
func (p *Pebble) PresentDNS(name, value string) {
	p.names.mu.Lock()
	defer p.names.mu.Unlock()
	p.names.records[name] = append(p.names.records[name], value)
}
