package certs

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/acme"
)

// Record is what is kept of a certificate besides the object: the order that is under way, what failed, what the
// authority said. It is sealed, for the key in it.
type Record struct {
	// Of is a digest of what the order was made for.
	Of string `json:"of,omitempty"`
	// Order is under way at OrderedOf, an Issuer, and Key, PEM, is the certificate's that comes of it.
	Order     *acme.Order `json:"order,omitempty"`
	OrderedOf string      `json:"orderedOf,omitempty"`
	Key       string      `json:"key,omitempty"`
	// Why the order was made, for people.
	Why string `json:"why,omitempty"`
	// Retries and Failure are of orders on end that came to nothing; Waits says what else is waited for.
	Retries acme.Retries `json:"retries,omitzero"`
	Failure string       `json:"failure,omitempty"`
	Waits   string       `json:"waits,omitempty"`
	WaitsTo time.Time    `json:"waitsTo,omitzero"`
	// Serial is the certificate that came last, Issuer whom it came from, At when, and Asked the renewAt of then.
	Serial string     `json:"serial,omitempty"`
	Issuer string     `json:"issuer,omitempty"`
	At     time.Time  `json:"at,omitzero"`
	Asked  *time.Time `json:"asked,omitempty"`
	// Renewal is what the authority said of the certificate of serial RenewalOf (ARI).
	Renewal   *acme.RenewalInfo `json:"renewal,omitempty"`
	RenewalOf string            `json:"renewalOf,omitempty"`
	// Told are serials of which the authority knows that they are revoked.
	Told []string `json:"told,omitempty"`
	// Asking is Retries of Tell and AskAbout.
	Asking acme.Retries `json:"asking,omitzero"`
}

// Task is what is to be done about a certificate next.
type Task int

// The tasks.
const (
	Nothing  Task = iota // until the certificate or its issuer changes
	Order                // a certificate is to be ordered
	GoOn                 // an order is under way
	Abandon              // an order is under way that is for something else
	Tell                 // the authority does not know of a revocation
	AskAbout             // the authority may know when the certificate is to be renewed
)

// Due says what is to be done about a certificate next, from when on, and for an order why. It is told the moment, and
// decides by what it is given alone.
func Due(name string, spec *weir.Certificate, issuer *weir.Issuer, r *Record, now time.Time) (task Task, at time.Time, why string) {
	if issuer == nil || issuer.KeyRef == nil {
		return Nothing, time.Time{}, ""
	}
	of := Digest(spec, issuer)
	if r.Order != nil {
		if r.Of != of {
			return Abandon, now, ""
		}
		return GoOn, r.Order.Next, ""
	}
	if s := spec.Revoked; s != nil && issuer.ACME != nil && spec.Info != nil && !slices.Contains(r.Told, spec.Info.Serial) {
		return Tell, r.Asking.Next(now, name, tellOf(spec)), ""
	}
	if why, at = wanted(name, spec, r, now); why != "" {
		task = Order
		if at = later(at, r.Retries.Next(now, name, of)); r.Of == of {
			at = later(at, r.WaitsTo)
		}
	}
	if issuer.ACME == nil || spec.Info == nil || spec.Revoked != nil {
		return task, at, why
	}
	ask := r.Asking.Next(now, name, askOf(spec))
	if r.RenewalOf == spec.Info.Serial && r.Renewal != nil {
		ask = later(ask, r.Renewal.AskAgain)
	}
	if task == Nothing || ask.Before(at) && at.After(now) {
		return AskAbout, ask, ""
	}
	return task, at, why
}

// wanted says why another certificate is to be ordered, and from when on; empty when none is.
func wanted(name string, spec *weir.Certificate, r *Record, now time.Time) (why string, from time.Time) {
	info := spec.Info
	switch {
	case info == nil:
		return "it is the first", now
	case spec.Revoked != nil:
		if gone := spec.Revoked.Reason; gone == "cessationOfOperation" || gone == "affiliationChanged" {
			if spec.RenewAt == nil || !spec.RenewAt.After(spec.Revoked.At) {
				return "", time.Time{}
			}
			return "somebody asked for another", later(now, *spec.RenewAt)
		}
		return "the one before was revoked", now
	case !slices.Equal(sorted(info.Names), spec.Names):
		return "it is to have other names", now
	case info.KeyType != keyTypeText(spec.KeyType):
		return "it is to have a key of another type", now
	case r.Serial == info.Serial && r.Issuer != "" && r.Issuer != spec.Issuer:
		return "it is to come from another issuer", now
	}
	at, ari := RenewalTime(name, info, r)
	if r.Serial == info.Serial {
		// Whatever a clock or an authority says: what has just come is not renewed again and again.
		at = later(at, r.At.Add(min(info.NotAfter.Sub(info.NotBefore)/6, soonest)))
	}
	if asked := spec.RenewAt; asked != nil && info.NotBefore.Before(*asked) && (r.Asked == nil || !r.Asked.Equal(*asked)) && asked.Before(later(at, now)) {
		return "somebody asked for another", *asked
	}
	if ari {
		return "the authority wants it renewed", at
	}
	return "two thirds of its life are over", at
}

// RenewalTime is when a certificate is to be renewed: when the authority says, or after two thirds of its life, a
// thirtieth more or less by its name, so that what was ordered together is not renewed together.
func RenewalTime(name string, info *weir.CertificateInfo, r *Record) (at time.Time, ari bool) {
	if r.Renewal != nil && r.RenewalOf == info.Serial && !r.Renewal.Start.IsZero() {
		return r.Renewal.At(name), true
	}
	life := info.NotAfter.Sub(info.NotBefore)
	sum := sha256.Sum256([]byte(name))
	part := float64(binary.BigEndian.Uint32(sum[:4])) / (1 << 32)
	return info.NotBefore.Add(time.Duration(float64(life) * (2.0/3 + (part-0.5)/15))), false
}

// Digest tells what an order is made for apart from other things that it could be made for.
func Digest(spec *weir.Certificate, issuer *weir.Issuer) string {
	raw, err := json.Marshal([]any{spec.Issuer, issuer.Type, issuer.ACME, issuer.CA, spec.Names, spec.KeyType, spec.Duration, spec.RenewAt, serialOf(spec)})
	if err != nil {
		panic("digest of a certificate's wish: " + err.Error()) // plain fields
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}

// soonest is how long a certificate is left alone at least before it is renewed for its age, at most.
const soonest = 12 * time.Hour

func serialOf(spec *weir.Certificate) string {
	if spec.Info == nil {
		return ""
	}
	return spec.Info.Serial
}

func tellOf(spec *weir.Certificate) string { return "revocation of " + serialOf(spec) }

func askOf(spec *weir.Certificate) string { return "renewal of " + serialOf(spec) }

// keyTypeText is how weir.CertificateInfo writes a type of keys.
func keyTypeText(t string) string {
	kind, size, _ := strings.Cut(t, "-")
	return strings.ToUpper(kind) + " " + size
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
