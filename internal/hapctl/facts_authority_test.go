package hapctl

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"testing"

	"weir/internal/weirtest"
)

// TestFactAuthorityOfServerStays: a new authority is accepted at run time, and a server that shows no certificate of
// its own goes on with the one that it was made with; one that does takes it.
func TestFactAuthorityOfServerStays(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		right, wrong, own := newPair(t, false, "origin.example"), newPair(t, false, "origin.example"), newPair(t, false, "weir")
		l := newLab(t, h, `frontend f from base
 bind ADDR:8080
 use_backend %[req.hdr(host)]
backend bare from base
 server s ADDR:4430 ssl verify required ca-file ca.pem sni str(origin.example)
backend showing from base
 server s ADDR:4430 ssl verify required ca-file ca.pem sni str(origin.example) crt own.pem
`)
		l.file("ca.pem", wrong.certPEM())
		l.file("own.pem", own.pem(t))
		l.secureOrigin(right)
		l.start()
		l.wantStatus("bare", 503)
		l.wantStatus("showing", 503)
		l.pay("set ssl ca-file ca.pem", right.certPEM())
		l.do("commit ssl ca-file ca.pem")
		l.wantStatus("bare", 503)
		l.wantStatus("showing", 200)
	})
}

// TestFactCommonNameCounts: the name that is asked for by SNI may be the subject's common name alone, although the certificate
// has alternative names, which put it out of use by RFC 9525.
func TestFactCommonNameCounts(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		p := newPair(t, false, "common.example")
		template := *p.cert
		template.DNSNames = []string{"alternative.example"}
		der, err := x509.CreateCertificate(rand.Reader, &template, &template, p.key.Public(), p.key)
		if err != nil {
			t.Fatal(err)
		}
		if p.cert, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		if p.cert.VerifyHostname("common.example") == nil {
			t.Fatal("the common name is an alternative one")
		}
		l := newLab(t, h, `frontend f from base
 bind ADDR:8080
 use_backend %[req.hdr(host)]
backend common from base
 server s ADDR:4430 ssl verify required ca-file ca.pem sni str(common.example)
backend alternative from base
 server s ADDR:4430 ssl verify required ca-file ca.pem sni str(alternative.example)
backend neither from base
 server s ADDR:4430 ssl verify required ca-file ca.pem sni str(neither.example)
`)
		l.file("ca.pem", p.certPEM())
		l.secureOrigin(p)
		l.start()
		l.wantStatus("common", 200)
		l.wantStatus("alternative", 200)
		l.wantStatus("neither", 503)
	})
}

// secureOrigin answers over TLS at port 4430 of the lab's address.
func (l *lab) secureOrigin(p pair) {
	l.Helper()
	listener, err := tls.Listen("tcp", l.addr+":4430", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{p.cert.Raw}, PrivateKey: p.key}}})
	if err != nil {
		l.Fatal(err)
	}
	server := &http.Server{
		ErrorLog: log.New(io.Discard, "", 0),
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "secure") }),
	}
	go func() { _ = server.Serve(listener) }() // until Close
	l.Cleanup(func() { server.Close() })
}
