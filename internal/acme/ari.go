package acme

import (
	"context"
	"crypto/x509"
	"hash/fnv"
	"net/http"
	"net/url"
	"time"

	acmez "github.com/mholt/acmez/v3/acme"
)

// RenewalInfo is when a CA wants a certificate to be replaced (RFC 9773).
type RenewalInfo struct {
	// Start and End are the window, Start before End. One that lies in the past means at once.
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// Explanation is a page that says why, for people; empty for none.
	Explanation string `json:"explanation,omitempty"`
	// AskAgain is when the CA may have something new to say.
	AskAgain time.Time `json:"askAgain"`
}

// Again gives when the CA may have something new to say, as AskAgain does, or now when that is further ahead than it can be.
func (r RenewalInfo) Again(now time.Time) time.Time {
	if r.AskAgain.Sub(now) > askLatest {
		return now
	}
	return r.AskAgain
}

// How soon and how late a CA can have us ask again (RFC 9773, 4.3.2), and what is taken when it says nothing.
const (
	askSoonest = time.Minute
	askLatest  = 24 * time.Hour
	askUsually = 6 * time.Hour
)

// At gives the moment for the certificate of that name: always the same one for the same window, and spread evenly over
// it among names.
func (r RenewalInfo) At(name string) time.Time {
	window := r.End.Sub(r.Start)
	return r.Start.Add(time.Duration(fraction(name) * float64(window)))
}

// fraction gives a number from 0 to below 1 that looks like chance and is the same for the same text.
func fraction(text string) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // a hash takes all
	x := h.Sum64()
	x ^= x >> 33 // the last letters of short texts would hardly reach the upper bits
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}

// CertID gives the name by which ARI knows a certificate.
func CertID(leaf *x509.Certificate) (string, error) {
	if len(leaf.AuthorityKeyId) == 0 {
		return "", local(StepRenewalInfo, TypeUnsupported, "the certificate does not say which key signed it")
	}
	id, err := acmez.ARIUniqueIdentifier(leaf)
	if err != nil {
		return "", local(StepRenewalInfo, TypeUnsupported, "the certificate has no serial number")
	}
	return id, nil
}

// RenewalInfo asks when a certificate should be replaced. It needs no account. A CA that has no such thing is
// TypeUnsupported; then, and when it fails, callers go by the certificate's life.
func (c *Client) RenewalInfo(ctx context.Context, leaf *x509.Certificate) (RenewalInfo, error) {
	id, err := CertID(leaf)
	if err != nil {
		return RenewalInfo{}, err
	}
	s, err := c.open(ctx)
	if err != nil {
		return RenewalInfo{}, err
	}
	if s.dir.RenewalInfo == "" {
		return RenewalInfo{}, local(StepRenewalInfo, TypeUnsupported, "the CA has no renewal information")
	}
	var got acmez.RenewalInfo
	again, e := c.get(ctx, StepRenewalInfo, s.dir.RenewalInfo+"/"+id, &got)
	if e != nil {
		return RenewalInfo{}, e
	}
	info, detail := renewalInfo(got, again, c.now())
	if detail != "" {
		return RenewalInfo{}, &Error{Step: StepRenewalInfo, Type: TypeBadAnswer, Status: http.StatusOK, Detail: detail, Retry: true}
	}
	return info, nil
}

// renewalInfo judges what a CA said, and says what is wrong with it, empty for nothing.
func renewalInfo(got acmez.RenewalInfo, again, now time.Time) (RenewalInfo, string) {
	r := RenewalInfo{Start: got.SuggestedWindow.Start, End: got.SuggestedWindow.End}
	if r.Start.IsZero() || !r.End.After(r.Start) {
		return RenewalInfo{}, "the window ends before it begins"
	}
	if r.End.Sub(r.Start) > 10*365*24*time.Hour {
		return RenewalInfo{}, "the window is longer than any certificate lives"
	}
	if u, err := url.Parse(got.ExplanationURL); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" {
		r.Explanation = clean(u.String())
	}
	wait := askUsually
	if !again.IsZero() {
		wait = again.Sub(now)
	}
	r.AskAgain = now.Add(min(max(wait, askSoonest), askLatest))
	return r, ""
}
