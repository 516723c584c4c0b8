package store

import (
	"crypto/x509"
	"sync"

	"weir"
)

// signers remembers what stands above the leaf in chains that were found in order, by its text: thousands of certificates
// have few, and to check who signed whom is most of what it costs to take a certificate. The zero value is ready.
type signers struct {
	mu    sync.Mutex
	known map[string][]*x509.Certificate
}

// mostSigners is how many are remembered; beyond it all are forgotten.
const mostSigners = 64

func (k *signers) above(rest string) []*x509.Certificate {
	if rest == "" {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known[rest]
}

// parse is parseChain; ordered says that what stands above the leaf is known to be in order.
func (k *signers) parse(c weir.Chain) (chain []*x509.Certificate, normal string, ordered bool, err error) {
	if above := k.above(c.Rest()); above != nil {
		if leaf, normal, err := parseChain(c.Leaf()); err == nil {
			return append(leaf, above...), normal + c.Rest(), true, nil
		}
	}
	chain, normal, err = parseChain(c.String())
	return chain, normal, false, err
}

// check is checkOrder, and remembers what is in order above the leaf; rest is its normal text.
func (k *signers) check(chain []*x509.Certificate, rest string, ordered bool) error {
	if ordered {
		return checkOrder(chain[:2])
	}
	err := checkOrder(chain)
	if err != nil || rest == "" {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil || len(k.known) >= mostSigners {
		k.known = map[string][]*x509.Certificate{}
	}
	k.known[rest] = chain[1:]
	return nil
}
