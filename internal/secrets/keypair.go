package secrets

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
)

// WriteKeyPair puts a private key and its certificates into one file, 0600, whole or not at all.
func WriteKeyPair(path string, pair tls.Certificate) error {
	data, err := encodeKey(pair.PrivateKey)
	if err != nil {
		return fmt.Errorf("write key pair %s: %w", path, err)
	}
	for _, der := range pair.Certificate {
		data = append(data, encodeCertificates(&x509.Certificate{Raw: der})...)
	}
	return WriteFile(path, data, 0o600)
}

// ReadKeyPair reads what WriteKeyPair wrote and refuses a file that others may read.
func ReadKeyPair(path string) (tls.Certificate, error) {
	data, err := ReadPrivateFile(path)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read key pair: %w", err)
	}
	key, certs, err := parseKeyAndCertificates(data)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read key pair %s: %w", path, err)
	}
	out := tls.Certificate{PrivateKey: key, Leaf: certs[0]}
	for _, c := range certs {
		out.Certificate = append(out.Certificate, c.Raw)
	}
	return out, nil
}

// ServerCertificate gives the key pair at path if this CA issued it, it is for exactly names and ips, and it
// needs no renewal; else it issues one and keeps it there. Called at the start and every day, it renews.
func (c *CA) ServerCertificate(path string, names []string, ips []netip.Addr) (tls.Certificate, error) {
	pair, err := ReadKeyPair(path)
	switch {
	case err == nil && c.serves(pair, names, ips):
		return pair, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return tls.Certificate{}, err
	}
	pair, err = c.IssueServer(names, ips)
	if err != nil {
		return tls.Certificate{}, err
	}
	return pair, WriteKeyPair(path, pair)
}

func (c *CA) serves(pair tls.Certificate, names []string, ips []netip.Addr) bool {
	now := c.now()
	if c.Trust().verify(pair.Leaf, now, x509.ExtKeyUsageServerAuth, "") != nil || NeedsRenewal(pair.Leaf, now) {
		return false
	}
	if len(pair.Certificate) < 2 || !slices.Equal(pair.Certificate[1], c.state.Load().cert.Raw) {
		return false
	}
	var have, want []string
	for _, ip := range pair.Leaf.IPAddresses {
		have = append(have, ip.String())
	}
	for _, ip := range ips {
		want = append(want, ip.Unmap().WithZone("").String())
	}
	return sameSet(pair.Leaf.DNSNames, names) && sameSet(have, want)
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}
