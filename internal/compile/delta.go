package compile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"weir/internal/ir"
)

// Delta gives the resources of after that before does not hold as they are, and the IDs of those that after no
// longer holds, both sorted: what ir.Node.Resources of both would show. Parts that two nodes of one Compiler
// share cost nothing.
func Delta(before, after ir.Node) (put []*ir.Resource, gone []string) {
	d := &delta{}
	d.one("self", &before.Self, &after.Self)
	d.one("group", &before.Group, &after.Group)
	d.one("tuning", &before.Tuning, &after.Tuning)
	parts(d, "address/", before.Addresses, after.Addresses, func(v *ir.Address) string { return v.Name })
	parts(d, "site/", before.Sites, after.Sites, func(v *ir.Site) string { return v.Name })
	parts(d, "list/", before.Lists, after.Lists, func(v *ir.AccessList) string { return v.Name })
	parts(d, "map/", before.Maps, after.Maps, func(v *ir.Map) string { return v.Name })
	parts(d, "shift/", before.Shifts, after.Shifts, func(v *ir.Shift) string { return v.Name })
	parts(d, "split/", before.Splits, after.Splits, func(v *ir.Split) string { return v.Name })
	parts(d, "schedule/", before.Schedules, after.Schedules, func(v *ir.Schedule) string { return v.Name })
	parts(d, "client/", before.Clients, after.Clients, func(v *ir.EgressClient) string { return v.Name })
	parts(d, "sla/", before.SLAs, after.SLAs, func(v *ir.SLA) string { return v.Name })
	parts(d, "rule/", before.Rules, after.Rules, func(v *ir.EgressRule) string { return v.Name })
	parts(d, "page/", before.Pages, after.Pages, func(v *ir.Page) string { return v.Name })
	parts(d, "logic/", before.Logics, after.Logics, func(v *ir.Logic) string { return v.Name })
	parts(d, "limit/", before.Limits, after.Limits, func(v *ir.RateLimit) string { return v.Name })
	parts(d, "certificate/", before.Certificates, after.Certificates, func(v *ir.Certificate) string { return v.Name })
	parts(d, "challenge/", before.Challenges, after.Challenges, func(v *ir.Challenge) string { return v.Token })
	d.pools(before.Pools, after.Pools)
	slices.SortFunc(d.put, func(a, b *ir.Resource) int { return strings.Compare(a.ID, b.ID) })
	slices.Sort(d.gone)
	return d.put, d.gone
}

type delta struct {
	put  []*ir.Resource
	gone []string
}

func encode(id string, v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("resource %s: %v", id, err))
	}
	return raw
}

func (d *delta) one(id string, before, after any) {
	if reflect.DeepEqual(before, after) {
		return // far cheaper than writing both
	}
	if c, ok := after.(*ir.Certificate); ok {
		if r := light(id, c); !bytes.Equal(r.JSON(), light(id, before.(*ir.Certificate)).JSON()) {
			d.put = append(d.put, r)
		}
		return
	}
	if raw := encode(id, after); !bytes.Equal(raw, encode(id, before)) {
		d.put = append(d.put, &ir.Resource{ID: id, Body: raw})
	}
}

// light is a certificate that stands in place of its text, alone: a resource outlives its node, and would keep the others of it in memory.
func light(id string, c *ir.Certificate) *ir.Resource {
	one := *c
	return &ir.Resource{ID: id, Certificate: &one}
}

// parts holds two lists that are sorted by name against each other.
func parts[T any](d *delta, prefix string, before, after []T, name func(*T) string) {
	if same(before, after) {
		return
	}
	merge(before, after, name, func(old, now *T) {
		switch {
		case now == nil:
			d.gone = append(d.gone, prefix+name(old))
		case old == nil:
			if c, ok := any(now).(*ir.Certificate); ok {
				d.put = append(d.put, light(prefix+name(now), c))
				return
			}
			d.put = append(d.put, &ir.Resource{ID: prefix + name(now), Body: encode(prefix+name(now), now)})
		default:
			if c, ok := any(now).(*ir.Certificate); ok && sameCertificate(any(old).(*ir.Certificate), c) {
				return
			}
			d.one(prefix+name(now), old, now)
		}
	})
}

func (d *delta) pools(before, after []ir.Pool) {
	merge(before, after, func(p *ir.Pool) string { return p.Name }, func(old, now *ir.Pool) {
		d.head(old, now)
		if old == nil {
			old = &ir.Pool{}
		}
		if now == nil {
			now = &ir.Pool{Name: old.Name}
		}
		if same(old.Servers, now.Servers) {
			return
		}
		prefix := "server/" + now.Name + "/"
		merge(old.Servers, now.Servers, func(s *ir.Server) string { return s.Name }, func(was, is *ir.Server) {
			switch {
			case is == nil:
				d.gone = append(d.gone, prefix+was.Name)
			case was == nil || !sameServer(was, is):
				d.put = append(d.put, &ir.Resource{ID: prefix + is.Name, Body: encode(prefix+is.Name, is)})
			}
		})
	})
}

// head compares two pools without their servers.
func (d *delta) head(old, now *ir.Pool) {
	if now == nil {
		d.gone = append(d.gone, "pool/"+old.Name)
		return
	}
	if old != nil && old.SameButServers(now) {
		return
	}
	id, bare := "pool/"+now.Name, *now
	bare.Servers = nil
	if old == nil {
		d.put = append(d.put, &ir.Resource{ID: id, Body: encode(id, &bare)})
		return
	}
	was := *old
	was.Servers = nil
	d.one(id, &was, &bare)
}

// same says whether two lists are one list in memory.
func same[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

func sameServer(a, b *ir.Server) bool {
	return a.Name == b.Name && a.Address == b.Address && a.Weight == b.Weight && a.Maintenance == b.Maintenance && a.Owner == b.Owner &&
		slices.EqualFunc(a.Overrides, b.Overrides, func(x, y ir.Override) bool {
			return x.Name == y.Name && x.State == y.State && x.ExpiresAt.Equal(y.ExpiresAt) && (x.Weight == nil) == (y.Weight == nil) && (x.Weight == nil || *x.Weight == *y.Weight)
		})
}

// merge walks two lists that are sorted by name; a side is nil where it does not have the name.
func merge[T any](before, after []T, name func(*T) string, take func(old, now *T)) {
	i, j := 0, 0
	for i < len(before) || j < len(after) {
		order := 0
		switch {
		case i == len(before):
			order = 1
		case j == len(after):
			order = -1
		default:
			order = strings.Compare(name(&before[i]), name(&after[j]))
		}
		switch {
		case order < 0:
			take(&before[i], nil)
			i++
		case order > 0:
			take(nil, &after[j])
			j++
		default:
			take(&before[i], &after[j])
			i, j = i+1, j+1
		}
	}
}
