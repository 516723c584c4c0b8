package store

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"weir"
)

// The texts of PEM blocks that we know.
const (
	blockCertificate = "CERTIFICATE"
	blockParameters  = "EC PARAMETERS"
)

// parsedCertificate is what the PEM of a Certificate holds.
type parsedCertificate struct {
	chain []*x509.Certificate
	key   crypto.Signer // nil when none was given in this write
}

// parseCertificate reads the PEM of a Certificate strictly, brings it into one form and fills Info. What is
// wrong by itself, today and ever, is a problem; what depends on the day or on a kept key is checkCertificate's.
func (d *draft) parseCertificate(known *signers) *parsedCertificate {
	spec, ok := d.after.Spec.(*weir.Certificate)
	if !ok {
		return nil
	}
	p := &parsedCertificate{}
	report := func(path, format string, args ...any) {
		d.problems = append(d.problems, weir.Problem{Object: d.ref.String(), Path: "spec." + path, Message: fmt.Sprintf(format, args...)})
	}
	if spec.Chain.IsZero() {
		spec.Info = nil
		if spec.Revoked != nil {
			report("revoked", "there is no certificate yet that could be revoked")
		}
		return nil // ordered, and not there yet
	}
	var text string
	var ordered bool
	var err error
	if p.chain, text, ordered, err = known.parse(spec.Chain); err != nil {
		report("chain", "%s", err)
		return nil
	}
	spec.Chain, spec.Info = weir.NewChain(text), infoOf(p.chain[0])
	d.revoked()
	if spec.Key != "" {
		if p.key, text, err = parseKey(spec.Key); err != nil {
			report("key", "%s", err)
			return nil
		}
		spec.Key = text
	}
	if spec.Key == "" && spec.KeyRef == nil {
		err = checkAuthorities(p.chain)
	} else {
		err = known.check(p.chain, spec.Chain.Rest(), ordered)
	}
	if err != nil {
		report("chain", "%s", err)
		return nil
	}
	return p
}

// newCertificate tells whether chain or key differ from what was accepted before; if not, it may have expired
// since, and labels can still be changed.
func (d *draft) newCertificate() bool {
	if d.before == nil {
		return true
	}
	before, after := d.before.Spec.(*weir.Certificate), d.after.Spec.(*weir.Certificate)
	return before.Chain != after.Chain || (before.KeyRef == nil) != (after.KeyRef == nil) || after.KeyRef != nil && *before.KeyRef != *after.KeyRef
}

// checkCertificate holds a new certificate against today, and its leaf against the key that it will have.
func (s *Store) checkCertificate(ctx context.Context, d *draft, p *parsedCertificate, now time.Time) error {
	report := func(path, format string, args ...any) {
		d.problems = append(d.problems, weir.Problem{Object: d.ref.String(), Path: "spec." + path, Message: fmt.Sprintf(format, args...)})
	}
	spec := d.after.Spec.(*weir.Certificate)
	expires := p.chain[:1]
	if spec.KeyRef == nil {
		expires = p.chain // any of several authorities may be the one that is needed
	}
	for i, c := range expires {
		if !now.Before(c.NotAfter) {
			report("chain", "certificate %d (%s) expired at %s", i+1, nameOf(c), c.NotAfter.UTC().Format(time.RFC3339))
		}
	}
	if spec.KeyRef == nil {
		return nil
	}
	key := p.key
	if key == nil {
		var err error
		if key, err = s.keptKey(ctx, d, spec.KeyRef.Generation); err != nil {
			return err
		}
	}
	if long := spec.Chain.Len() + len(d.known); long > weir.MaxChain {
		report("chain", "with its key it is %d bytes long; at most %d fit HAProxy's run-time socket; leave the root out of the chain", long, weir.MaxChain)
	}
	if public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(p.chain[0].PublicKey) {
		report("key", "is not the key of the chain's first certificate (%s); the leaf must come first, and its own key here", nameOf(p.chain[0]))
	}
	return nil
}

// keptKey opens the key that the certificate refers to and that was not given again.
func (s *Store) keptKey(ctx context.Context, d *draft, generation int64) (crypto.Signer, error) {
	if d.known == "" {
		secret, err := s.Secret(ctx, d.ref, generation)
		if err != nil {
			return nil, err
		}
		d.known = secret.Text()
	}
	key, _, err := parseKey(d.known)
	if err != nil {
		return nil, fmt.Errorf("read the kept key of %s: %w", d.ref, err)
	}
	return key, nil
}

// parseChain reads certificates, one or more, and nothing but white space around them.
func parseChain(text string) (chain []*x509.Certificate, normal string, err error) {
	blocks, err := pemBlocks(text)
	if err != nil {
		return nil, "", err
	}
	var out bytes.Buffer
	for i, b := range blocks {
		if strings.HasSuffix(b.Type, "PRIVATE KEY") {
			return nil, "", fmt.Errorf("block %d is a private key; it belongs into spec.key", i+1)
		}
		if b.Type != blockCertificate {
			return nil, "", fmt.Errorf("block %d is %q; only certificates belong here", i+1, clip(b.Type))
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, "", fmt.Errorf("block %d is no certificate: %w", i+1, err)
		}
		chain = append(chain, c)
		_ = pem.Encode(&out, &pem.Block{Type: blockCertificate, Bytes: b.Bytes}) // to memory, without headers
	}
	if _, err := keyType(chain[0].PublicKey); err != nil {
		return nil, "", fmt.Errorf("certificate 1 (%s): %w", nameOf(chain[0]), err)
	}
	return chain, out.String(), nil
}

// pemBlocks splits PEM text; what is neither a block nor white space is refused, because it may have been one.
func pemBlocks(text string) ([]*pem.Block, error) {
	const begin = "-----BEGIN "
	var blocks []*pem.Block
	rest := []byte(strings.ReplaceAll(text, "\r\n", "\n"))
	line := 1
	for {
		trimmed := bytes.TrimLeft(rest, " \t\r\n")
		line += bytes.Count(rest[:len(rest)-len(trimmed)], []byte("\n"))
		if len(trimmed) == 0 {
			break
		}
		if !bytes.HasPrefix(trimmed, []byte(begin)) {
			return nil, fmt.Errorf("line %d is no PEM; only blocks from BEGIN to END may be here, without text between them", line)
		}
		block, after := pem.Decode(trimmed)
		// A broken block is passed over by Decode, which then finds a later one.
		if block == nil || !bytes.HasPrefix(trimmed[len(begin):], []byte(block.Type+"-----")) || bytes.Count(trimmed[:len(trimmed)-len(after)], []byte(begin)) != 1 {
			return nil, fmt.Errorf("the PEM block that begins in line %d is damaged or cut", line)
		}
		line += bytes.Count(trimmed[:len(trimmed)-len(after)], []byte("\n"))
		blocks, rest = append(blocks, block), after
	}
	if len(blocks) == 0 {
		return nil, fmt.Errorf("holds no PEM block")
	}
	return blocks, nil
}

// parseKey reads one private key. Its errors never repeat any of it.
func parseKey(text string) (key crypto.Signer, normal string, err error) {
	blocks, err := pemBlocks(text)
	if err != nil {
		return nil, "", err
	}
	var found *pem.Block
	for _, b := range blocks {
		switch {
		case b.Type == blockParameters: // OpenSSL writes the curve's name before the key, which names it again
		case strings.Contains(b.Type, "ENCRYPTED") || b.Headers["DEK-Info"] != "":
			return nil, "", fmt.Errorf("is encrypted with a passphrase; give it without one, it is sealed here")
		case !strings.HasSuffix(b.Type, "PRIVATE KEY"):
			return nil, "", fmt.Errorf("holds a block %q; only the private key belongs here", clip(b.Type))
		case found != nil:
			return nil, "", fmt.Errorf("holds more than one private key")
		default:
			found = b
		}
	}
	if found == nil {
		return nil, "", fmt.Errorf("holds no private key")
	}
	if key = signerIn(found); key == nil {
		return nil, "", fmt.Errorf("is no private key that is understood; PKCS#8, PKCS#1 and SEC 1 are")
	}
	if _, err := keyType(key.Public()); err != nil {
		return nil, "", err
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: found.Type, Bytes: found.Bytes})), nil
}

func signerIn(b *pem.Block) crypto.Signer {
	if k, err := x509.ParsePKCS8PrivateKey(b.Bytes); err == nil {
		signer, _ := k.(crypto.Signer)
		return signer
	}
	if k, err := x509.ParsePKCS1PrivateKey(b.Bytes); err == nil {
		return k
	}
	if k, err := x509.ParseECPrivateKey(b.Bytes); err == nil {
		return k
	}
	return nil
}

// keyType names a public key's kind and size, or says why it is not taken.
func keyType(public any) (string, error) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 {
			return "", fmt.Errorf("the RSA key has %d bits; at least 2048 are needed", k.N.BitLen())
		}
		return fmt.Sprintf("RSA %d", k.N.BitLen()), nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P224() {
			return "", fmt.Errorf("the ECDSA key is on P-224; P-256, P-384 or P-521 is needed")
		}
		return fmt.Sprintf("ECDSA %d", k.Curve.Params().BitSize), nil
	case ed25519.PublicKey:
		return "Ed25519 256", nil
	default:
		return "", fmt.Errorf("the key is neither RSA, ECDSA nor Ed25519")
	}
}

// checkOrder asks that each certificate was signed by the next.
func checkOrder(chain []*x509.Certificate) error {
	for i := 1; i < len(chain); i++ {
		if err := chain[i-1].CheckSignatureFrom(chain[i]); err != nil {
			return fmt.Errorf("certificate %d (%s) is not signed by certificate %d (%s): the leaf comes first, then what signed it, in order", i, nameOf(chain[i-1]), i+1, nameOf(chain[i]))
		}
	}
	return nil
}

// checkAuthorities is for chains without a key: those are believed, not served.
func checkAuthorities(chain []*x509.Certificate) error {
	for i, c := range chain {
		if !c.IsCA && !bytes.Equal(c.RawIssuer, c.RawSubject) {
			return fmt.Errorf("certificate %d (%s) is no authority, and without spec.key only authorities make sense; give the key", i+1, nameOf(c))
		}
	}
	return nil
}

func infoOf(leaf *x509.Certificate) *weir.CertificateInfo {
	sum := sha256.Sum256(leaf.Raw)
	kind, _ := keyType(leaf.PublicKey) // parseChain has asked
	names := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return &weir.CertificateInfo{
		Names: names, NotBefore: leaf.NotBefore.UTC(), NotAfter: leaf.NotAfter.UTC(),
		Serial: leaf.SerialNumber.Text(16), SHA256: hex.EncodeToString(sum[:]), KeyType: kind, Issuer: leaf.Issuer.String(),
	}
}

func nameOf(c *x509.Certificate) string {
	if name := c.Subject.String(); name != "" {
		return clip(name)
	}
	if len(c.DNSNames) > 0 {
		return clip(c.DNSNames[0])
	}
	return "serial " + c.SerialNumber.Text(16)
}

// clip shortens what somebody else wrote to what a message can hold.
func clip(s string) string {
	const most = 80
	s = strings.ToValidUTF8(s, "?")
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
