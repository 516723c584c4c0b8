package store

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
	"weir/internal/weirtest"
)

func debugTo(out *weirtest.Buffer) func(*Options) {
	return func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}

func countKeys(t testing.TB, s *Store, prefix string) int64 {
	t.Helper()
	got, err := s.client.Get(t.Context(), prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		t.Fatal(err)
	}
	return got.Count
}

func certificate(name, chain, key string) *weir.Object {
	return &weir.Object{Kind: "Certificate", Metadata: weir.Metadata{Name: name}, Spec: &weir.Certificate{Chain: weir.NewChain(chain), Key: key}}
}

// issued is a certificate for tests with its key, both as PEM too.
type issued struct {
	cert       *x509.Certificate
	signer     crypto.Signer
	chain, key string
}

func issue(t testing.TB, by *issued, signer crypto.Signer, change ...func(*x509.Certificate)) *issued {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: serial, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	for _, f := range change {
		f(tmpl)
	}
	if by == nil {
		by = &issued{cert: tmpl, signer: signer}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, by.cert, signer.Public(), by.signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{
		cert: cert, signer: signer,
		chain: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		key:   string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})),
	}
}

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func named(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames, c.Subject = names, pkix.Name{CommonName: names[0]} }
}

func authority(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject, c.IsCA, c.BasicConstraintsValid, c.KeyUsage = pkix.Name{CommonName: name}, true, true, x509.KeyUsageCertSign
	}
}

func expired(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }

func selfSigned(t testing.TB, name string) (key, chain string) {
	t.Helper()
	c := issue(t, nil, ecKey(t, elliptic.P256()), named(name))
	return c.key, c.chain
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	root := issue(t, nil, ecKey(t, elliptic.P256()), authority("Test Root"))
	second := issue(t, nil, ecKey(t, elliptic.P384()), authority("Second Root"))
	between := issue(t, root, ecKey(t, elliptic.P256()), authority("Test Intermediate"))
	leaf := issue(t, between, ecKey(t, elliptic.P256()), named("www.example.com", "example.com"), func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(203, 0, 113, 1)} })
	twin := issue(t, between, rsaKey(t, 2048), named("www.example.com"))
	_, edPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed := issue(t, between, edPrivate, named("ed.example.com"))
	old := issue(t, between, ecKey(t, elliptic.P256()), named("old.example.com"), expired)
	short := issue(t, nil, rsaKey(t, 1024), named("short.example.com"))
	narrow := issue(t, nil, ecKey(t, elliptic.P224()), named("narrow.example.com"))
	sec1, err := x509.MarshalECPrivateKey(leaf.signer.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	openssl := "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}))
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(twin.signer.(*rsa.PrivateKey))}))
	locked := "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"
	cut := leaf.chain[:len(leaf.chain)-40]

	for name, c := range map[string]struct {
		chain, key string
		want       string // "" when it is accepted
	}{
		"ecdsa":              {leaf.chain + between.chain, leaf.key, ""},
		"with its root":      {leaf.chain + between.chain + root.chain, leaf.key, ""},
		"leaf alone":         {leaf.chain, leaf.key, ""},
		"rsa":                {twin.chain + between.chain, twin.key, ""},
		"ed25519":            {ed.chain + between.chain, ed.key, ""},
		"openssl's key file": {leaf.chain, openssl, ""},
		"pkcs1":              {twin.chain, pkcs1, ""},
		"blank lines, CRLF":  {"\n\n" + strings.ReplaceAll(leaf.chain, "\n", "\r\n") + "\n \n" + between.chain + "\n\n", "\n" + leaf.key + "\n\n", ""},
		"an authority":       {root.chain, "", ""},
		"two authorities":    {root.chain + second.chain, "", ""},

		"wrong order":            {between.chain + leaf.chain, leaf.key, "spec.chain: certificate 1 (CN=Test Intermediate) is not signed by certificate 2"},
		"a link is missing":      {leaf.chain + root.chain, leaf.key, "is not signed by certificate 2 (CN=Test Root)"},
		"another's key":          {leaf.chain, twin.key, "spec.key: is not the key of the chain's first certificate (CN=www.example.com)"},
		"expired":                {old.chain, old.key, "expired at "},
		"expired authority":      {root.chain + issue(t, nil, ecKey(t, elliptic.P256()), authority("Old Root"), expired).chain, "", "certificate 2 (CN=Old Root) expired"},
		"no key and no CA":       {leaf.chain, "", "only authorities make sense"},
		"short rsa":              {short.chain, short.key, "1024 bits; at least 2048"},
		"narrow curve":           {narrow.chain, narrow.key, "P-224"},
		"text before":            {"subject=www\n" + leaf.chain, leaf.key, "spec.chain: line 1 is no PEM"},
		"text after":             {leaf.chain + "junk", leaf.key, "is no PEM"},
		"key in the chain":       {leaf.chain + leaf.key, leaf.key, "private key"},
		"chain as key":           {leaf.chain, leaf.chain, `spec.key: holds a block "CERTIFICATE"`},
		"two keys":               {leaf.chain, leaf.key + twin.key, "more than one private key"},
		"encrypted":              {leaf.chain, locked, "passphrase"},
		"cut":                    {cut, leaf.key, "damaged or cut"},
		"cut, then a whole one":  {cut + "\n" + leaf.chain, leaf.key, "damaged or cut"},
		"damaged":                {strings.Replace(leaf.chain, "M", "*", 1), leaf.key, "damaged or cut"},
		"not a certificate":      {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", leaf.key, "block 1 is no certificate"},
		"garbage as key":         {leaf.chain, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "PKCS#8, PKCS#1 and SEC 1"},
		"empty key block":        {leaf.chain, "\n\n", "holds no PEM block"},
		"a request for a chain":  {strings.ReplaceAll(leaf.chain, "CERTIFICATE", "CERTIFICATE REQUEST"), leaf.key, `block 1 is "CERTIFICATE REQUEST"`},
		"nothing":                {"", leaf.key, "spec.chain: is required"},
		"too long for the pipes": {strings.Repeat(leaf.chain, 30), leaf.key, "at most 12000"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := s.Apply(t.Context(), Request{Author: "tester", DryRun: true, Writes: puts(certificate("www", c.chain, c.key))})
			if c.want != "" {
				wantKind(t, err, weir.Invalid, c.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			spec := r.After.Get(weir.Ref{Kind: "Certificate", Name: "www"}).Spec.(*weir.Certificate)
			if spec.Key != "" || (spec.KeyRef == nil) != (c.key == "") || spec.Info == nil {
				t.Errorf("accepted as %+v", spec)
			}
		})
	}

	apply(t, s, puts(certificate("www", "\n"+leaf.chain+between.chain, leaf.key+"\n"))...)
	spec := s.View().Get(weir.Ref{Kind: "Certificate", Name: "www"}).Spec.(*weir.Certificate)
	if spec.Chain.String() != leaf.chain+between.chain {
		t.Error("the chain is not kept in its one form")
	}
	if got := strings.Join(spec.Info.Names, " "); got != "www.example.com example.com 203.0.113.1" || spec.Info.KeyType != "ECDSA 256" || spec.Info.Issuer != "CN=Test Intermediate" {
		t.Errorf("info: %+v", spec.Info)
	}
}

func TestACertificateIsRenewed(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := newStore(t, func(o *Options) { o.Clock = func() time.Time { return now } })
	key := ecKey(t, elliptic.P256())
	first := issue(t, nil, key, named("www.example.com"))
	apply(t, s, puts(certificate("www", first.chain, first.key))...)
	ref := weir.Ref{Kind: "Certificate", Name: "www"}
	kept := s.View().Get(ref).Spec.(*weir.Certificate)

	// With the same key, which need not be given again.
	second := issue(t, nil, key, named("www.example.com"))
	renewed := certificate("www", second.chain, "")
	renewed.Spec.(*weir.Certificate).KeyRef = kept.KeyRef
	r := apply(t, s, puts(renewed)...)
	if spec := r.After.Get(ref).Spec.(*weir.Certificate); *spec.KeyRef != *kept.KeyRef || spec.Info.SHA256 == kept.Info.SHA256 {
		t.Errorf("renewed to %+v", spec)
	}
	// A chain for another key is refused although no key was given.
	_, foreign := selfSigned(t, "www.example.com")
	bad := certificate("www", foreign, "")
	bad.Spec.(*weir.Certificate).KeyRef = kept.KeyRef
	_, err := s.Apply(t.Context(), Request{Author: "tester", Writes: puts(bad)})
	wantKind(t, err, weir.Invalid, "spec.key: is not the key")

	// What expired meanwhile is no problem as long as nobody changes it.
	now = now.Add(48 * time.Hour)
	export := s.View().Get(ref)
	if r := apply(t, s, puts(export)...); len(r.Change.Objects) != 0 {
		t.Error("an export applied again is a change")
	}
	changed := export.Clone()
	changed.Metadata.Labels = map[string]string{"a": "b"}
	apply(t, s, puts(changed)...)
	changed.Spec.(*weir.Certificate).Chain = weir.NewChain(first.chain)
	_, err = s.Apply(t.Context(), Request{Author: "tester", Writes: puts(changed)})
	wantKind(t, err, weir.Invalid, "expired")
}

// Whatever is given as PEM, reading it does not fail badly, and what is accepted is in its one form.
func FuzzPEM(f *testing.F) {
	key, chain := selfSigned(f, "www.example.com")
	for _, seed := range []string{key, chain, chain + key, chain + "\n\n" + chain, chain[:200], "-----BEGIN A-----\n-----END A-----", "", "\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, normal, err := parseChain(text); err == nil {
			if _, again, err := parseChain(normal); err != nil || again != normal {
				t.Errorf("%q becomes %q, %v", normal, again, err)
			}
			if strings.Contains(normal, "PRIVATE") {
				t.Error("a chain holds a private key")
			}
		}
		if _, normal, err := parseKey(text); err == nil {
			if _, again, err := parseKey(normal); err != nil || again != normal {
				t.Errorf("a key has two forms: %v", err)
			}
		}
	})
}
