package certs

import (
	"fmt"
	"strings"
	"time"

	"weir"
	"weir/internal/acme"
)

// Progress says how it stands with a certificate that comes from an issuer, for people: whether there is one that is
// good, what is under way, what failed and when it is tried again, and how long the present one lasts.
func Progress(name string, spec *weir.Certificate, issuer *weir.Issuer, r *Record, now time.Time) weir.Condition {
	c := weir.Condition{Type: weir.Issued, Status: "True", Reason: "Issued"}
	task, at, why := Due(name, spec, issuer, r, now)
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
		if task == Order {
			say("the next try is at %s", moment(at))
		}
	case r.Waits != "" && r.WaitsTo.After(now):
		say("it is not ordered before %s: %s", moment(r.WaitsTo), r.Waits)
	case task == Order && !at.After(now):
		say("another is to be ordered, because %s", why)
	case spec.Info != nil && spec.Revoked == nil:
		if reason, from := wanted(name, spec, r, now); reason != "" {
			say("the next is ordered at %s, because %s", moment(from), reason)
		}
	}
	if r.Asking.Failures > 0 && task == Tell {
		say("the authority does not know of the revocation yet")
	}
	c.Message = strings.Join(parts, "; ")
	return c
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
