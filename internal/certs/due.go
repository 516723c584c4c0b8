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
	// Retries and Failure are of orders on end that came to nothing, with the issuer's secrets Used; Waits says what else
	// is waited for.
	Retries acme.Retries `json:"retries,omitzero"`
	Failure string       `json:"failure,omitempty"`
	Used    string       `json:"used,omitempty"`
	Waits   string       `json:"waits,omitempty"`
	WaitsTo time.Time    `json:"waitsTo,omitzero"`
	// WaitsFrom is when that was found out.
	WaitsFrom time.Time `json:"waitsFrom,omitzero"`
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
	// Untold are those of before that it does not know of yet, though others have taken their places.
	Untold []Untold `json:"untold,omitempty"`
	// Unwanted is since when no site wants a certificate that certificates: auto had ordered.
	Unwanted time.Time `json:"unwanted,omitzero"`
	// Asking is Retries of Tell and AskAbout.
	Asking acme.Retries `json:"asking,omitzero"`
}

// Untold is a certificate that was revoked and replaced before its authority could be told.
type Untold struct {
	Serial string `json:"serial"`
	// Leaf is PEM, Issuer whom it came from, and End after when nobody need know any more.
	Leaf   string    `json:"leaf"`
	Issuer string    `json:"issuer"`
	Reason string    `json:"reason"`
	End    time.Time `json:"end"`
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

// wait notes what else is waited for, and until when; no why for nothing.
func (r *Record) wait(now time.Time, why string, until time.Time) {
	r.Waits, r.WaitsTo, r.WaitsFrom = why, until, now
	if why == "" {
		r.WaitsTo, r.WaitsFrom = time.Time{}, time.Time{}
	}
}

// Due says what is to be done about a certificate next, from when on, and for an order why. It is told the moment, and
// decides by what it is given alone. Times that only a wrong clock can have noted hold nothing up.
func Due(name string, spec *weir.Certificate, issuer *weir.Issuer, r *Record, now time.Time) (task Task, at time.Time, why string) {
	if issuer == nil || issuer.KeyRef == nil {
		return Nothing, time.Time{}, ""
	}
	of := Digest(spec, issuer)
	if r.Order != nil {
		if r.Of != of || givenUp(spec) {
			return Abandon, now, ""
		}
		return GoOn, r.Order.Due(now), ""
	}
	if why, at = nextOrder(name, spec, of, r, now); why != "" {
		task = Order
	}
	if serial := toTell(spec, issuer, r, now); serial != "" {
		// An authority that can't be told does not keep another one from being ordered.
		if tell := r.Asking.Next(now, name, tellOf(serial)); task == Nothing || !at.Before(tell) {
			return Tell, tell, ""
		}
		return task, at, why
	}
	if issuer.ACME == nil || spec.Info == nil || spec.Revoked != nil || !r.Unwanted.IsZero() {
		return task, at, why
	}
	ask := r.Asking.Next(now, name, askOf(spec))
	if r.RenewalOf == spec.Info.Serial && r.Renewal != nil {
		ask = later(ask, r.Renewal.Again(now))
	}
	if task == Nothing || ask.Before(at) && at.After(now) {
		return AskAbout, ask, ""
	}
	return task, at, why
}

// toTell gives the serial of a certificate of whose revocation its authority is to be told, empty for none.
func toTell(spec *weir.Certificate, issuer *weir.Issuer, r *Record, now time.Time) string {
	if spec.Revoked != nil && issuer.ACME != nil && spec.Info != nil && now.Before(spec.Info.NotAfter) && !slices.Contains(r.Told, spec.Info.Serial) {
		return spec.Info.Serial
	}
	if len(r.Untold) > 0 {
		return r.Untold[0].Serial
	}
	return ""
}

// nextOrder says why another certificate is to be ordered, and when that is tried; empty when none is.
func nextOrder(name string, spec *weir.Certificate, of string, r *Record, now time.Time) (why string, at time.Time) {
	if why, at = wanted(name, spec, r, now); why == "" {
		return "", time.Time{}
	}
	if at = later(at, r.Retries.Next(now, name, of)); r.Of == of && !r.WaitsFrom.After(now) {
		at = later(at, r.WaitsTo)
	}
	return why, at
}

// wanted says why another certificate is to be ordered, and from when on; empty when none is.
func wanted(name string, spec *weir.Certificate, r *Record, now time.Time) (why string, from time.Time) {
	info := spec.Info
	switch {
	case !r.Unwanted.IsZero():
		return "", time.Time{}
	case info == nil:
		return "it is the first", now
	case spec.Revoked != nil:
		if givenUp(spec) {
			return "", time.Time{}
		}
		if ends(spec.Revoked.Reason) {
			return "somebody asked for another", later(now, *spec.RenewAt)
		}
		return "the one before was revoked", now
	case !sameNames(info.Names, spec.Names):
		return "it is to have other names", now
	case info.KeyType != keyTypeText(spec.KeyType):
		return "it is to have a key of another type", now
	case r.Serial == info.Serial && r.Issuer != "" && r.Issuer != spec.Issuer:
		return "it is to come from another issuer", now
	}
	at, ari := RenewalTime(name, info, r)
	if r.Serial == info.Serial && !r.At.After(now) {
		// Whatever a clock or an authority says: what has just come is not renewed again and again.
		at = later(at, r.At.Add(min(info.NotAfter.Sub(info.NotBefore)/6, soonest)))
	}
	if asked := spec.RenewAt; asked != nil && info.NotBefore.Before(*asked) && (r.Asked == nil || !r.Asked.Equal(*asked)) && asked.Before(later(at, now)) {
		return "somebody asked for another", *asked
	}
	if ari {
		return "the authority wants it renewed", at
	}
	return tooOld, at
}

// ends says of a reason that whoever revokes a certificate for it wants none in its place.
func ends(reason string) bool {
	return reason == "cessationOfOperation" || reason == "affiliationChanged"
}

// givenUp says that a certificate was revoked for such a reason, and that nobody has asked for another since.
func givenUp(spec *weir.Certificate) bool {
	return spec.Revoked != nil && ends(spec.Revoked.Reason) && (spec.RenewAt == nil || !spec.RenewAt.After(spec.Revoked.At))
}

// tooOld is why most are renewed.
const tooOld = "two thirds of its life are over"

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
	raw, err := json.Marshal([]any{spec.Issuer, issuer.Type, issuer.ACME, issuer.CA, issuer.Chain, spec.Names, spec.KeyType, spec.Duration, spec.RenewAt, serialOf(spec)})
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

func tellOf(serial string) string { return "revocation of " + serial }

func askOf(spec *weir.Certificate) string { return "renewal of " + serialOf(spec) }

// keyTypeText is how weir.CertificateInfo writes a type of keys.
func keyTypeText(t string) string {
	kind, size, _ := strings.Cut(t, "-")
	return strings.ToUpper(kind) + " " + size
}

// sameNames says that a certificate is for the names that are wished for, however it writes them.
func sameNames(have, want []string) bool {
	have = slices.Clone(have)
	for i, name := range have {
		have[i] = strings.ToLower(name)
	}
	slices.Sort(have)
	return slices.Equal(slices.Compact(have), want)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
