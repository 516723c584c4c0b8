package store

import (
	"context"
	"slices"
	"sync"

	"weir"
)

// past is what the writes of one request want to know of former changes; each change is read once for all of them.
type past struct {
	s *Store

	mu    sync.Mutex
	roles map[int64]map[weir.Ref]string
	// revoked are the serials of Certificates that were revoked before they were deleted, in changes after one that is
	// undone.
	revoked func() (map[weir.Ref][]string, error)
}

func (s *Store) pastOf(ctx context.Context, r *request) *past {
	return &past{s: s, roles: map[int64]map[weir.Ref]string{}, revoked: sync.OnceValues(func() (map[weir.Ref][]string, error) {
		return s.revokedSince(ctx, r.Undoes)
	})}
}

// revokedSince collects what Certificates that were deleted after a change knew of revocations.
func (s *Store) revokedSince(ctx context.Context, revision int64) (map[weir.Ref][]string, error) {
	all := map[weir.Ref][]string{}
	f := Filter{Ref: weir.Ref{Kind: "Certificate"}, Limit: 128}
	for {
		list, err := s.Changes(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, ev := range list {
			if ev.Revision <= revision {
				return all, nil
			}
			for _, o := range ev.Change.Objects {
				if o.Before == nil || o.After != nil {
					continue
				}
				if cert, ok := o.Before.Spec.(*weir.Certificate); ok && len(cert.RevokedSerials) > 0 {
					all[o.Before.Ref()] = append(all[o.Before.Ref()], cert.RevokedSerials...)
				}
			}
			f.Before = ev.Revision
		}
		if len(list) < f.Limit {
			return all, nil
		}
	}
}

// owner gives the role of whom a generation of an object's secret was first kept for; ok is false when that is not kept.
func (p *past) owner(ctx context.Context, ref weir.Ref, generation int64) (role string, ok bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.roles[generation] == nil {
		_, entries, err := p.s.change(ctx, generation)
		if kind := weir.KindOf(err); err != nil && kind != weir.Gone && kind != weir.NotFound {
			return "", false, err
		}
		p.roles[generation] = map[weir.Ref]string{}
		for _, e := range entries {
			if e.after != nil {
				p.roles[generation][e.ref] = e.after.Metadata.Role
			}
		}
	}
	if role, ok = p.roles[generation][ref]; ok {
		return role, true, nil
	}
	return p.s.ownerSince(ctx, ref, generation)
}

// ownerSince looks for it among the changes that are kept, the first of which may have found the secret there.
func (s *Store) ownerSince(ctx context.Context, ref weir.Ref, generation int64) (role string, ok bool, err error) {
	f := Filter{Ref: ref, Limit: 128}
	for {
		list, err := s.Changes(ctx, f)
		if err != nil {
			return "", false, err
		}
		for _, ev := range list {
			for _, o := range ev.Change.Objects {
				for _, was := range []*weir.Object{o.After, o.Before} {
					if kept := sealedRefOf(was); kept != nil && was.Ref() == ref && kept.Generation == generation {
						role, ok = was.Metadata.Role, true
					}
				}
			}
			f.Before = ev.Revision
		}
		if len(list) < f.Limit {
			return role, ok, nil
		}
	}
}

// recall gives a Certificate that an undo makes anew what was revoked of it, before the deletion that is undone and since.
func (p *past) recall(d *draft) error {
	cert, ok := d.after.Spec.(*weir.Certificate)
	if !ok || d.before != nil {
		return nil
	}
	since, err := p.revoked()
	if err != nil {
		return err
	}
	d.revokedOnce = slices.Clone(cert.RevokedSerials)
	for _, serial := range since[d.ref] {
		if !slices.Contains(d.revokedOnce, serial) {
			d.revokedOnce = append(d.revokedOnce, serial)
		}
	}
	return nil
}
