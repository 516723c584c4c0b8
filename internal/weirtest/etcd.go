package weirtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Etcd is a cluster of real etcd processes that want TLS with client certificates.
type Etcd struct {
	t       testing.TB
	dir     string
	binary  string
	members []*EtcdMember
	EtcdFiles
}

// EtcdFiles are what a client needs.
type EtcdFiles struct{ CAFile, CertFile, KeyFile string }

// EtcdMember is one process of a cluster.
type EtcdMember struct {
	Name, URL string
	peer      string
	args      []string
	process   *Process
	of        *Etcd
}

// StartEtcd starts a cluster of n members on 127.0.0.0/8 that ends with the test, and returns once each of them
// answers. A missing binary fails the test and names the command that gets it.
func StartEtcd(t testing.TB, n int) *Etcd {
	t.Helper()
	e := &Etcd{t: t, dir: TempDir(t), binary: filepath.Join(Root(t), ".tools", "etcd", "usr", "bin", "etcd")}
	if _, err := os.Stat(e.binary); err != nil {
		t.Fatalf("find etcd: %v; run scripts/programs.sh etcd to get it", err)
	}
	base := Prefix(t).Addr().As4()
	var initial []string
	for i := range n {
		address := fmt.Sprintf("%d.%d.%d.%d", base[0], base[1], base[2], i+1)
		m := &EtcdMember{Name: fmt.Sprintf("e%d", i+1), URL: "https://" + address + ":2379", peer: "https://" + address + ":2380", of: e}
		e.members = append(e.members, m)
		initial = append(initial, m.Name+"="+m.peer)
	}
	e.certificates(base)
	for _, m := range e.members {
		m.args = []string{
			"--name", m.Name, "--data-dir", filepath.Join(e.dir, m.Name),
			"--listen-client-urls", m.URL, "--advertise-client-urls", m.URL,
			"--listen-peer-urls", m.peer, "--initial-advertise-peer-urls", m.peer,
			"--initial-cluster", strings.Join(initial, ","), "--initial-cluster-state", "new",
			"--cert-file", e.CertFile, "--key-file", e.KeyFile, "--trusted-ca-file", e.CAFile, "--client-cert-auth",
			"--peer-cert-file", e.CertFile, "--peer-key-file", e.KeyFile, "--peer-trusted-ca-file", e.CAFile, "--peer-client-cert-auth",
			"--log-level", "warn",
			// A test's folder may be memory; what counts here is the order of writes.
			"--unsafe-no-fsync",
		}
		m.Start()
	}
	for _, m := range e.members {
		m.AwaitReady()
	}
	return e
}

// Members gives the members in the order in which they were made.
func (e *Etcd) Members() []*EtcdMember { return e.members }

// Endpoints gives the client URLs of all members.
func (e *Etcd) Endpoints() []string {
	var urls []string
	for _, m := range e.members {
		urls = append(urls, m.URL)
	}
	return urls
}

// TLS gives a client's settings.
func (e *Etcd) TLS() *tls.Config {
	e.t.Helper()
	config, err := e.Load()
	if err != nil {
		e.t.Fatal(err)
	}
	return config
}

// Load gives a client's settings.
func (f EtcdFiles) Load() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(f.CertFile, f.KeyFile)
	if err != nil {
		return nil, err
	}
	bundle, err := os.ReadFile(f.CAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, MinVersion: tls.VersionTLS13}, nil
}

// Start starts a member that does not run.
func (m *EtcdMember) Start() {
	m.of.t.Helper()
	m.process = Command(m.of.t, m.of.binary, m.args...)
}

// Kill ends a member at once, as a crash would.
func (m *EtcdMember) Kill() { m.process.Kill() }

// Lose ends a cluster's members at once, takes what they have kept away, and starts them with nothing.
func (e *Etcd) Lose() {
	e.t.Helper()
	for _, m := range e.members {
		m.Kill()
		if err := os.RemoveAll(filepath.Join(e.dir, m.Name)); err != nil {
			e.t.Fatal(err)
		}
	}
	for _, m := range e.members {
		m.Start()
	}
	for _, m := range e.members {
		m.AwaitReady()
	}
}

// Process is the member's, to be stopped and continued.
func (m *EtcdMember) Process() *Process { return m.process }

// AwaitReady waits until the member says that it is healthy, which needs a majority.
func (m *EtcdMember) AwaitReady() {
	m.of.t.Helper()
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{TLSClientConfig: m.of.TLS(), DisableKeepAlives: true}}
	Eventually(m.of.t, Patience, func() error {
		resp, err := client.Get(m.URL + "/health")
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", m.Name, resp.Status)
		}
		return nil
	})
}

// certificates makes an authority and one certificate for all members and the client.
func (e *Etcd) certificates(base [4]byte) {
	e.t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		e.t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "etcd test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		e.t.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "weir"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	// Members come from wherever the kernel lets them, and tell each other by that address.
	leaf.IPAddresses = append(leaf.IPAddresses, net.IPv4(127, 0, 0, 1))
	for i := range 9 {
		leaf.IPAddresses = append(leaf.IPAddresses, net.IPv4(base[0], base[1], base[2], byte(i+1)))
	}
	e.CAFile = e.write("ca.crt", "CERTIFICATE", e.sign(ca, ca, caKey, caKey))
	e.CertFile = e.write("etcd.crt", "CERTIFICATE", e.sign(leaf, ca, key, caKey))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		e.t.Fatal(err)
	}
	e.KeyFile = e.write("etcd.key", "PRIVATE KEY", der)
}

func (e *Etcd) sign(c, by *x509.Certificate, key, byKey *ecdsa.PrivateKey) []byte {
	e.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, byKey)
	if err != nil {
		e.t.Fatal(err)
	}
	return der
}

func (e *Etcd) write(name, block string, der []byte) string {
	e.t.Helper()
	path := filepath.Join(e.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: block, Bytes: der}), 0o600); err != nil {
		e.t.Fatal(err)
	}
	return path
}
