package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir"
)

// certificatePause is how often a waiting command looks at certificates again.
const certificatePause = 500 * time.Millisecond

// orderedBy names the Certificates that a change has ordered, besides some: those that it wrote, and those of listeners
// with certificates: auto, which come to be a moment later.
func orderedBy(objects []objectChange, names ...string) []string {
	before, after := weir.NewSet(), weir.NewSet()
	for _, o := range objects {
		if o.Before != nil && o.Kind == "Site" {
			before.Put(&o.Before.Object)
		}
		if o.After == nil {
			continue
		}
		switch spec := o.After.Spec.(type) {
		case *weir.Site:
			after.Put(&o.After.Object)
		case *weir.Certificate:
			if spec.Issuer != "" && (o.Before == nil || !reflect.DeepEqual(o.Before.Spec, o.After.Spec)) {
				names = append(names, o.Name)
			}
		}
	}
	known := before.Orders()
	for name := range after.Orders() {
		if _, had := known[name]; !had {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// awaitCertificates waits until the certificates that a change has ordered are issued and served, or says which are not,
// and why.
func (c *client) awaitCertificates(cmd *cobra.Command, revision int64, names []string, within time.Duration) error {
	if len(names) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(cmd.Context(), within, errTimeout)
	defer cancel()
	s, start, told := screenOf(cmd, cmd.ErrOrStderr()), wallClock(), ""
	left := make([]lacking, len(names))
	for i, name := range names {
		left[i] = lacking{name: name, why: "it was not looked at"}
	}
	c.timeout = min(c.timeout, answerWithin)
	for {
		next, err := c.lackingOf(ctx, left)
		switch {
		case cmd.Context().Err() != nil:
			return interruptedError(fmt.Sprintf("stopped waiting; revision %d stays, and its certificates are ordered all the same", revision))
		case err != nil && ctx.Err() == nil && !again(err):
			return err
		case err == nil:
			left = next
		}
		if len(left) == 0 {
			s.printf("%s\n", s.good(issuedText(len(names)))+s.faint(" "+wallClock().Sub(start).Round(10*time.Millisecond).String()))
			return nil
		}
		if text := fmt.Sprintf("certificates %d/%d: waiting for %s (%s)", len(names)-len(left), len(names), left[0].name, left[0].why); text != told && err == nil {
			told = text
			s.line(s.wrapped("", oneLine(text)))
		}
		select {
		case <-ctx.Done():
		case <-time.After(certificatePause):
			continue
		}
		if cmd.Context().Err() == nil {
			return notIssued(revision, left, len(names), within)
		}
	}
}

func issuedText(n int) string {
	if n == 1 {
		return "The certificate that it has ordered is issued and served."
	}
	return fmt.Sprintf("The %d certificates that it has ordered are issued and served.", n)
}

// notIssued says which certificates are not there, and why.
func notIssued(revision int64, left []lacking, of int, within time.Duration) error {
	var b strings.Builder
	fmt.Fprintf(&b, "revision %d is in force, but of %s that it has ordered %d not issued and served after %s", revision, count(of, "certificate", "certificates"), len(left), within)
	for i, l := range left {
		if i == mostOutages {
			fmt.Fprintf(&b, "\n  … and %d more", len(left)-i)
			break
		}
		fmt.Fprintf(&b, "\n  Certificate/%s: %s", clean(l.name), oneLine(l.why))
	}
	return errors.New(b.String())
}

// lacking is a certificate that is not issued and served yet.
type lacking struct{ name, why string }

// lackingOf gives those that are not issued and served yet.
func (c *client) lackingOf(ctx context.Context, of []lacking) (left []lacking, err error) {
	fleet, err := c.fleet(ctx) // before certificates: what is compiled by now was read back or not when they are looked at
	if err != nil {
		return nil, err
	}
	kind, _ := weir.KindByName("Certificate")
	for _, l := range of {
		o, err := c.one(ctx, kind, l.name)
		switch {
		case isStatus(err, http.StatusNotFound):
			l.why = "it is not ordered yet"
		case err != nil:
			return nil, err
		default:
			l.why = lacks(o, fleet.Revision, c.now())
		}
		if l.why != "" {
			left = append(left, l)
		}
	}
	return left, nil
}

// lacks says what is missing of a certificate, empty when it is issued and served wherever it is needed.
func lacks(o *object, compiled int64, now time.Time) string {
	if o.Spec.(*weir.Certificate).Issuer == "" {
		return "" // it was uploaded
	}
	if o.Status == nil || o.Status.Certificate == nil || o.Status.Certificate.Renewal == nil {
		return "how it stands with it is not known"
	}
	why := ""
	switch r := o.Status.Certificate.Renewal; r.State {
	case weir.RenewalScheduled, weir.RenewalNone:
		return unshown(o, compiled)
	case weir.RenewalFailing:
		if why = "ordering it failed " + times(r.Failures); r.At.After(now) {
			why += ", the next try is in " + roughly(r.At.Sub(now))
		}
	case weir.RenewalWaiting:
		why = fmt.Sprintf("it is not ordered before %s: %s", clock(r.At), r.Why)
	case weir.RenewalStuck:
		why = "it can't be ordered: " + r.Why
	case weir.RenewalOrdering:
		why = "it is ordered: " + r.Why
	default:
		why = "it is to be ordered now"
	}
	if e := o.Status.Certificate.Renewal.Error; e != "" {
		why += "; last trouble: " + e
	}
	return why
}

// unshown says where a certificate that was issued is not served yet.
func unshown(o *object, compiled int64) string {
	if compiled < o.Revision {
		return "it is issued, and not on its way to load balancers yet"
	}
	for _, g := range o.Status.Certificate.Groups {
		if g.Ready < g.Of {
			return fmt.Sprintf("it is issued; in group %s %d of %d load balancers serve it, not %s", g.Name, g.Ready, g.Of, some(g.Missing, 3))
		}
	}
	return ""
}
