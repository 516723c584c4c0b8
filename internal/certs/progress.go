package certs

import (
	"fmt"
	"iter"
	"strings"
	"time"

	"weir"
	"weir/internal/acme"
)

// AskedOfLoadBalancers gives names, and the tokens of their challenges, that load balancers are to answer before the order
// goes on.
func (r *Record) AskedOfLoadBalancers() iter.Seq2[string, string] {
	return func(yield func(name, token string) bool) {
		if r.Order == nil || r.Order.State != acme.Presenting || r.Order.Challenge != acme.HTTP01 {
			return
		}
		for _, c := range r.Order.Challenges() {
			if !yield(c.Name, c.Token) {
				return
			}
		}
	}
}

// Progress says how it stands with a certificate that comes from an issuer, for people: whether there is one that is
// good, what is under way, what failed and when it is tried again, and how long the present one lasts.
func Progress(name string, spec *weir.Certificate, issuer *weir.Issuer, r *Record, now time.Time) weir.Condition {
	c := weir.Condition{Type: weir.Issued, Status: "True", Reason: "Issued"}
	var why string
	var at time.Time
	if issuer != nil && issuer.KeyRef != nil {
		why, at = nextOrder(name, spec, Digest(spec, issuer), r, now)
	}
	var parts []string
	say := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case spec.Info == nil:
		c.Status, c.Reason = "False", "Pending"
		say("there is none yet")
	case spec.Revoked != nil:
		c.Status, c.Reason = "False", "Revoked"
		say("revoked at %s (%s)", moment(spec.Revoked.At), spec.Revoked.Reason)
	case !now.Before(spec.Info.NotAfter):
		c.Status, c.Reason = "False", "Expired"
		say("expired at %s", moment(spec.Info.NotAfter))
	default:
		say("good until %s", moment(spec.Info.NotAfter))
	}
	switch {
	case issuer == nil:
		say("Issuer/%s is not there", spec.Issuer)
	case r.Order != nil:
		say("another is ordered: %s", orderWords(r.Order))
		if r.Failure != "" {
			say("last trouble: %s", r.Failure)
		}
	case r.Failure != "" && r.Retries.Failures > 0:
		if c.Reason == "Issued" || c.Reason == "Pending" {
			c.Reason = "OrderFailed"
		}
		say("ordering it failed %s: %s", times(r.Retries.Failures), r.Failure)
		if why != "" {
			say("the next try is at %s", moment(at))
		}
	case r.Waits != "" && r.WaitsTo.After(now):
		say("it is not ordered before %s: %s", moment(r.WaitsTo), r.Waits)
	case why != "" && !at.After(now):
		say("another is to be ordered, because %s", why)
	case why != "" && spec.Info != nil && spec.Revoked == nil:
		say("the next is ordered at %s, because %s", moment(at), why)
	}
	if !r.Unwanted.IsZero() {
		say("%s", unwantedText(r))
	}
	if serial := notTold(spec, issuer, r, now); serial != "" {
		say("the authority does not know of the revocation of %s yet", serial)
	}
	c.Message = strings.Join(parts, "; ")
	return c
}

// notTold gives the serial of a certificate of whose revocation the authority could not be told.
func notTold(spec *weir.Certificate, issuer *weir.Issuer, r *Record, now time.Time) string {
	if issuer == nil || r.Asking.Failures == 0 {
		return ""
	}
	if serial := toTell(spec, issuer, r, now); r.Asking.Of == tellOf(serial) {
		return serial
	}
	return ""
}

func unwantedText(r *Record) string {
	return fmt.Sprintf("no site wants it since %s; it is deleted at %s, unless one does again", moment(r.Unwanted), moment(r.Unwanted.Add(UnwantedFor)))
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func orderWords(o *acme.Order) string {
	switch o.State {
	case acme.Presenting:
		return "load balancers or the DNS are told how to answer the authority"
	case acme.Answering, acme.Validating:
		return "the authority looks at the answers"
	case acme.Failed, acme.Closed:
		return "the order is given up"
	}
	return "the authority is at it"
}
