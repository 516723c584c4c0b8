package acme

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
)

// Reasons are those of RFC 5280 that a CA takes from who has a certificate, by the name people know.
var Reasons = map[string]int{
	"unspecified":          0,
	"keyCompromise":        1,
	"affiliationChanged":   3,
	"superseded":           4,
	"cessationOfOperation": 5,
}

// Revoke takes a certificate back that this account has ordered. One that is revoked already is no error.
func (c *Client) Revoke(ctx context.Context, leaf *x509.Certificate, reason int) error {
	if !slices.Contains([]int{0, 1, 3, 4, 5}, reason) {
		return local(StepRevoke, TypeBadInput, fmt.Sprintf("%d is no reason that can be given", reason))
	}
	account, err := c.Account(ctx)
	if err != nil {
		return err
	}
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	if s.dir.RevokeCert == "" {
		return local(StepRevoke, TypeUnsupported, "the CA takes nothing back")
	}
	callCtx, k := c.call(ctx, true)
	err = s.lib.RevokeCertificate(callCtx, c.signer(account.URL), leaf, nil, reason)
	if err == nil || k.is("alreadyRevoked") {
		return nil
	}
	return c.refused(ctx, k, StepRevoke, err)
}
