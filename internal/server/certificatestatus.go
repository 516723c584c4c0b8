package server

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/certs"
	"weir/internal/ir"
	"weir/internal/store"
)

// orders is what is known of the orders of certificates and of issuers' accounts, whichever server makes them.
type orders struct {
	mu       sync.RWMutex
	records  map[string]*certs.Record
	accounts map[string]*certs.Account
	// since is when this server began to look, counts what came of orders since, by issuer.
	since  time.Time
	counts map[string]*orderCounts

	// wanted are the certificates that sites have ordered by themselves, of the sites of one stamp.
	stamp  *weir.Stamp
	wanted map[string]weir.Wanted
}

// sites gives those that have a certificate ordered by themselves, without naming it.
func (o *orders) sites(set *weir.Set, certificate string) []weir.Ref {
	o.mu.Lock()
	defer o.mu.Unlock()
	if stamp := set.Stamp("Site"); o.stamp != stamp {
		o.stamp, o.wanted = stamp, set.Orders()
	}
	return o.wanted[certificate].Sites
}

func newOrders(since time.Time) *orders {
	return &orders{records: map[string]*certs.Record{}, accounts: map[string]*certs.Account{}, since: since, counts: map[string]*orderCounts{}}
}

// orderCounts is what came of orders.
type orderCounts struct{ issued, failed int }

// count notes what has come of a certificate's order since it was looked at last; o.mu is held.
func (o *orders) count(issuer string, was, now *certs.Record) {
	if was == nil {
		was = &certs.Record{}
	}
	c := o.counts[issuer]
	if c == nil {
		c = &orderCounts{}
		o.counts[issuer] = c
	}
	if now.Serial != was.Serial && now.At.After(o.since) {
		c.issued++
	}
	if now.Retries.Last.After(o.since) && !now.Retries.Last.Equal(was.Retries.Last) {
		c.failed++
	}
}

func (o *orders) counted(issuer string) orderCounts {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if c := o.counts[issuer]; c != nil {
		return *c
	}
	return orderCounts{}
}

func (o *orders) account(issuer string) *certs.Account {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.accounts[issuer]
}

func (o *orders) of(name string) *certs.Record {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if r := o.records[name]; r != nil {
		return r
	}
	return &certs.Record{}
}

// followOrders keeps up with what is written down of orders, until ctx ends. Keys are not kept here.
func (s *server) followOrders(ctx context.Context) {
	s.store.FollowPlatforms(ctx, certs.RecordPrefix, func(changed []store.PlatformValue) {
		o := s.fleet.orders
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, v := range changed {
			name := strings.TrimPrefix(v.Name, certs.RecordPrefix)
			r := &certs.Record{}
			if v.Generation == 0 || json.Unmarshal(v.Value.Bytes(), r) != nil {
				delete(o.records, name)
				continue
			}
			r.Key = ""
			if spec := weir.Find[weir.Certificate](s.store.View(), "Certificate", name); spec != nil {
				o.count(spec.Issuer, o.records[name], r)
			}
			o.records[name] = r
		}
	})
}

// followAccounts keeps up with what is written down of issuers' accounts, until ctx ends.
func (s *server) followAccounts(ctx context.Context) {
	s.store.FollowPlatforms(ctx, certs.AccountPrefix, func(changed []store.PlatformValue) {
		o := s.fleet.orders
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, v := range changed {
			name := strings.TrimPrefix(v.Name, certs.AccountPrefix)
			a, err := certs.ReadAccount(v.Value.Bytes())
			if v.Generation == 0 || err != nil {
				delete(o.accounts, name)
				continue
			}
			o.accounts[name] = a
		}
	})
}

// issued says how it stands with a certificate that is ordered, or was uploaded and ends soon, and with that of an
// authority of Weir's own.
func (v *view) issued() (c weir.Condition, ok bool) {
	set, now := v.store.View(), v.clock()
	switch spec := v.object.Spec.(type) {
	case *weir.Issuer:
		c, ok = certs.OwnProgress(v.ref.Name, spec, set, now)
	case *weir.Certificate:
		if spec.Issuer == "" {
			return certs.UploadProgress(spec, now)
		}
		r := v.orders.of(v.ref.Name)
		c, ok = certs.Progress(v.ref.Name, spec, weir.Find[weir.Issuer](set, "Issuer", spec.Issuer), r, now), true
		if missing := v.awaited(r); missing != "" {
			c.Message += "; awaited: " + missing
		}
	}
	if ok && v.restored != nil {
		if r := v.restored(); r != nil && r.Held {
			c.Message += "; nothing is ordered until the restore is accepted"
		}
	}
	return c, ok
}

// awaited says what is missing until an authority may be told to ask load balancers for the answers of an order, empty
// when nothing is. v.mu is held.
func (v *view) awaited(r *certs.Record) string {
	var list []Challenge
	for name, token := range r.AskedOfLoadBalancers() {
		list = append(list, Challenge{Name: name, Challenge: ir.Challenge{Token: token}})
	}
	missing := v.unanswered(v.groups, list)
	slices.Sort(missing)
	if n := len(missing) - mostMissing; n > 0 {
		missing = append(missing[:mostMissing], fmt.Sprintf("%d more", n))
	}
	return strings.Join(missing, "; ")
}

// mostMissing is how many of the things that keep an order waiting are told.
const mostMissing = 3

// notIssued tells of the certificates whose orders come to nothing.
func (f *fleet) notIssued() (list []weir.Problem) {
	set, now := f.store.View(), f.clock()
	for o := range set.All("Certificate") {
		spec := o.Spec.(*weir.Certificate)
		if spec.Issuer == "" {
			continue
		}
		r := certs.Outlook(o.Metadata.Name, spec, weir.Find[weir.Issuer](set, "Issuer", spec.Issuer), f.orders.of(o.Metadata.Name), now)
		switch {
		case r.State == weir.RenewalStuck:
			list = append(list, weir.Problem{Object: o.Ref().String(), Path: "spec.issuer", Message: r.Why})
		case r.Failures > 0 && r.State != weir.RenewalScheduled && r.State != weir.RenewalNone:
			list = append(list, weir.Problem{Object: o.Ref().String(), Message: r.Error})
		}
	}
	slices.SortFunc(list, func(a, b weir.Problem) int { return strings.Compare(a.Object, b.Object) })
	return list
}

// mostListed is how many objects and load balancers the status of a certificate names.
const mostListed = 20

// certificate is what is so of a certificate besides its conditions, nil for other objects.
func (v *view) certificate() *weir.CertificateStatus {
	spec, ok := v.object.Spec.(*weir.Certificate)
	if !ok {
		return nil
	}
	out := &weir.CertificateStatus{Groups: v.parts}
	now, set := v.clock(), v.store.View()
	if spec.Info != nil {
		days := int(math.Floor(spec.Info.NotAfter.Sub(now).Hours() / 24))
		out.DaysLeft = &days
	}
	if spec.Issuer != "" {
		record := v.orders.of(v.ref.Name)
		r := certs.Outlook(v.ref.Name, spec, weir.Find[weir.Issuer](set, "Issuer", spec.Issuer), record, now)
		if missing := v.awaited(record); missing != "" {
			r.Why += "; awaited: " + missing
		}
		out.Renewal = &r
	}
	use := func(from weir.Ref) {
		if out.Uses++; out.Uses <= mostListed {
			out.UsedBy = append(out.UsedBy, from.String())
		}
	}
	for from := range set.Referrers(v.ref) {
		use(from)
	}
	if _, own := weir.OrderOf(v.object); own {
		for _, from := range v.orders.sites(set, v.ref.Name) {
			use(from)
		}
	}
	return out
}

// part is a group's share in ready and of, once its load balancers were looked at; before is what was known then.
func (v *view) part(group string, before view) weir.ServedGroup {
	missing := v.laggards[len(before.laggards):]
	return weir.ServedGroup{
		Name: group, Ready: v.ready - before.ready, Of: v.of - before.of,
		Missing: slices.Clone(missing[:min(len(missing), mostListed)]),
	}
}

// issuer is what is so of an issuer besides its conditions, nil for other objects.
func (v *view) issuer() *weir.IssuerStatus {
	spec, ok := v.object.Spec.(*weir.Issuer)
	if !ok {
		return nil
	}
	set, now := v.store.View(), v.clock()
	out := &weir.IssuerStatus{Certificates: map[string]int{}, Budgets: v.orders.account(v.ref.Name).Budgets(spec, now)}
	for ref := range set.ReferrersOf("Certificate", v.ref) {
		if c := weir.Find[weir.Certificate](set, ref.Kind, ref.Name); c != nil {
			outlookInto(out, ref.Name, certs.Outlook(ref.Name, c, spec, v.orders.of(ref.Name), now), v.orders.of(ref.Name))
		}
	}
	return out
}

// outlookInto adds how it stands with a certificate to what is said of its issuer.
func outlookInto(out *weir.IssuerStatus, name string, r weir.Renewal, record *certs.Record) {
	out.Certificates[r.State]++
	if r.State == weir.RenewalScheduled && (out.Next.IsZero() || r.At.Before(out.Next)) {
		out.Next, out.NextName = r.At, name
	}
	if r.IssuedAt.After(out.IssuedAt) {
		out.IssuedAt = r.IssuedAt
	}
	if r.Error != "" && !record.Retries.Last.Before(out.FailedAt) {
		out.Error, out.FailedName, out.FailedAt = r.Error, name, record.Retries.Last
	}
}
