package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// benchAuthority issues certificates whose chain is the leaf alone.
type benchAuthority struct {
	t     *testing.T
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	chain string // PEM
}

func newBenchAuthority(t *testing.T, name string) benchAuthority {
	t.Helper()
	a := benchAuthority{t: t}
	template := benchTemplate(name)
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	a.cert, a.key, a.chain = a.sign(template, template)
	return a
}

func benchTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
	}
}

// sign makes a certificate, of itself where the parent is the same.
func (a benchAuthority) sign(template, parent *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey, string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	by := a.key
	if template == parent {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// issue gives a certificate for a host name, or whom it is of, and its key, in PEM.
func (a benchAuthority) issue(name string) (chain, key string) {
	a.t.Helper()
	template := benchTemplate(name)
	template.DNSNames, template.KeyUsage = []string{name}, x509.KeyUsageDigitalSignature
	_, private, chain := a.sign(template, a.cert)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return chain, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// serve is a partner, which says whose certificate it was shown, or takes requests and answers none while it hangs.
func (w *egressWorld) serve(host int, a benchAuthority, name string, hangs *atomic.Bool) {
	w.t.Helper()
	chain, key := a.issue(name)
	pair, err := tls.X509KeyPair([]byte(chain), []byte(key))
	if err != nil {
		w.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", netip.AddrPortFrom(w.where.at(byte(host)), partnerTLSPort).String())
	if err != nil {
		w.t.Fatal(err)
	}
	server := http.Server{
		Handler: http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			if hangs != nil && hangs.Load() {
				<-r.Context().Done()
				return
			}
			if shown := r.TLS.PeerCertificates; len(shown) > 0 {
				out.Header().Set("X-Client", shown[0].Subject.CommonName)
			}
			_, _ = io.WriteString(out, body)
		}),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert},
		ErrorLog:  log.New(io.Discard, "", 0),
	}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	w.t.Cleanup(func() { _ = server.Close() })
}

// caller is an application that speaks TLS with a name at an address, over one connection or a new one for each call.
func (w *egressWorld) caller(warm bool, name string, at netip.AddrPort, by benchAuthority) *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(by.cert)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{ServerName: name, RootCAs: roots}, DisableKeepAlives: !warm,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, at.String())
		},
	}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// ask makes a call and gives the milliseconds until its answer is there whole.
func (w *egressWorld) ask(c *http.Client, url string, status int) float64 {
	w.t.Helper()
	began := time.Now()
	answer, err := c.Get(url)
	if err != nil {
		w.t.Fatal(err)
	}
	said, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil || answer.StatusCode != status {
		w.t.Fatalf("%s: %s %q: %v", url, answer.Status, said, err)
	}
	return milliseconds(time.Since(began))
}

// way is one of those on which calls are made.
type way struct {
	client *http.Client
	url    string
	took   []float64 // milliseconds of each call
	spent  []float64 // processor time of all who take part, in microseconds a call, of each round
}

// compareCalls makes calls on all four ways by turns.
func (w *egressWorld) compareCalls() []figure {
	direct := netip.AddrPortFrom(w.where.at(partnerHost), partnerTLSPort)
	through := func(warm bool) *way {
		return &way{client: w.caller(warm, "out.bench.example", w.fleetTLS(), w.inside), url: w.out("quick", "high")}
	}
	alone := func(warm bool) *way {
		return &way{client: w.caller(warm, "www.quick.example", direct, w.theirs), url: "https://www.quick.example/"}
	}
	warm, cold, directWarm, directCold := through(true), through(false), alone(true), alone(false)
	ways := []*way{warm, cold, directWarm, directCold}
	for round := range egressRounds {
		for i := range ways {
			one := ways[(i+round)%len(ways)]
			before := w.allSpent()
			for range callsInRound {
				if took := w.ask(one.client, one.url, http.StatusOK); round > 0 {
					one.took = append(one.took, took)
				}
			}
			one.spent = append(one.spent, float64((w.allSpent()-before).Nanoseconds())/1000/callsInRound)
		}
	}
	w.t.Logf("microseconds of processors a call: %.4g and cold %.4g through the way out, %.4g and cold %.4g directly", median(warm.spent), median(cold.spent), median(directWarm.spent), median(directCold.spent))
	return []figure{
		{egressFigures[0], median(warm.took) / median(directCold.took), "ratio"},
		{egressFigures[1], median(warm.took), "ms"},
		{egressFigures[2], median(cold.took), "ms"},
		{egressFigures[3], median(directWarm.took), "ms"},
		{egressFigures[4], median(directCold.took), "ms"},
		{egressFigures[5], median(warm.spent), "us"},
		{egressFigures[6], median(directCold.spent), "us"},
	}
}

// allSpent is the processor time of applications and partners, which are this process, and of HAProxy.
func (w *egressWorld) allSpent() time.Duration {
	w.t.Helper()
	var total time.Duration
	for _, pid := range []int{os.Getpid(), w.worker} {
		spent, err := cpuTime(pid)
		if err != nil {
			w.t.Fatal(fmt.Errorf("processor time of %d: %w", pid, err))
		}
		total += spent
	}
	return total
}
