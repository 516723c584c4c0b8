package api

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"slices"
	"time"

	"weir"
)

// WhoAmI tells a caller what the API knows of them.
type WhoAmI struct {
	Subject string       `json:"subject"`
	Grants  []weir.Grant `json:"grants"`
	// Groups are those that the identity provider says the subject is in, as Grants name them.
	Groups []string `json:"groups,omitempty"`
	// Token is the name of the credential's object, or of the one that the session was exchanged for; Provider is the
	// identity provider that the session comes from. ExpiresAt is the end of credential or session.
	Token     string    `json:"token,omitempty"`
	Provider  string    `json:"provider,omitempty"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
	// Version and Revision are the control plane's.
	Version  string `json:"version"`
	Revision int64  `json:"revision"`
}

func (c *call) whoami() error {
	me, err := c.me()
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, me)
}

// me tells of the caller's credential.
func (c *call) me() (WhoAmI, error) {
	me := WhoAmI{
		Subject: c.who.Subject, Groups: c.who.Groups, Grants: slices.Clone(c.who.Grants), Version: c.h.opts.Version, Revision: c.h.opts.Store.Revision(),
	}
	if me.Grants == nil {
		me.Grants = []weir.Grant{}
	}
	if c.cred.session != "" {
		s, err := c.h.opts.SignIn.Session(c.cred.session)
		me.Token, me.Provider, me.ExpiresAt = s.Token, s.Provider, s.Ends
		return me, err
	}
	o := c.h.people.token(c.cred.hash)
	if o == nil {
		return me, unauthenticated("the token was revoked just now")
	}
	me.Token, me.ExpiresAt = o.Metadata.Name, o.Spec.(*weir.Token).ExpiresAt
	return me, nil
}

// status answers the fleet's state, or streams how it comes to a revision.
func (c *call) status() error {
	if err := c.granted(weir.Viewer); err != nil {
		return err
	}
	if c.has("wait") {
		return c.wait()
	}
	fleet := c.h.opts.Status.Fleet()
	view := c.h.opts.Store.View()
	c.revision = fleet.Revision
	groups := make([]GroupStatus, len(fleet.Groups))
	for i, g := range fleet.Groups {
		g.Problems = c.visible(view, g.Problems)
		g.Waves = g.Waves.discreet(c)
		all := len(g.NotServing)
		g.NotServing = slices.DeleteFunc(slices.Clone(g.NotServing), func(o Outage) bool { return !c.sees(view, o.Object) })
		g.NotServingHidden = all - len(g.NotServing)
		g.LoadBalancers = slices.Clone(g.LoadBalancers)
		for j := range g.LoadBalancers {
			lb := &g.LoadBalancers[j]
			lb.Deviations = slices.DeleteFunc(slices.Clone(lb.Deviations), func(d Deviation) bool { return !c.sees(view, d.Object) })
			lb.Drift = c.driftSeen(view, lb.Drift)
			lb.Reloads.Reasons = slices.DeleteFunc(slices.Clone(lb.Reloads.Reasons), func(r ReloadReason) bool { return !c.sees(view, r.Object) })
		}
		groups[i] = g
	}
	fleet.Groups = groups
	fleet.NotIssued = c.visible(view, fleet.NotIssued)
	fleet.Sources = c.visible(view, fleet.Sources)
	fleet.Partners = c.visible(view, fleet.Partners)
	return c.answer(http.StatusOK, fleet)
}

// ProgressLine is one line of a stream that waits for the fleet.
type ProgressLine struct {
	// Type is progress, heartbeat or error; the stream ends after a progress that is done, or an error.
	Type     string    `json:"type"`
	Progress *Progress `json:"progress,omitempty"`
}

// knownWithin is how long a revision may take to come from another server on the same store.
const knownWithin = 5 * time.Second

func (c *call) wait() error {
	if err := c.heldBack(); err != nil {
		return err
	}
	revision, err := c.number("wait", 0, 0, 1<<62)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), knownWithin)
	defer cancel()
	if err := c.h.opts.Store.WaitFor(ctx, revision); err != nil {
		if weir.KindOf(err) != "" {
			return err
		}
		return weir.Errorf(weir.NotFound, "there is no revision %d; the last is %d", revision, c.h.opts.Store.Revision())
	}
	c.revision = revision
	return stream(c, source[Progress]{
		seq: func(ctx context.Context) iter.Seq2[Progress, error] {
			return func(yield func(Progress, error) bool) {
				for p := range c.h.opts.Status.Wait(ctx, revision) {
					if !yield(p, nil) {
						return
					}
				}
			}
		},
		beat:  func() any { return ProgressLine{Type: "heartbeat"} },
		lines: func(p Progress) ([]any, bool) { return []any{ProgressLine{"progress", &p}}, p.Done },
	})
}

// RenderAnswer holds the files of one load balancer by name.
type RenderAnswer struct {
	LoadBalancer string            `json:"loadBalancer"`
	Files        map[string]string `json:"files"`
}

// render shows a whole configuration, which holds everybody's objects.
func (c *call) render() error {
	if !c.who.Holds(weir.Viewer, "") {
		return weir.Errorf(weir.Forbidden, "a load balancer's configuration holds every role's objects; reading it takes the right viewer on role \"*\", which %s does not have", c.who.Subject)
	}
	ref := weir.Ref{Kind: "LoadBalancer", Name: c.r.PathValue("name")}
	if c.h.opts.Store.View().Get(ref) == nil {
		return c.noSuch(ref)
	}
	files, err := c.h.opts.Status.Render(c.r.Context(), ref.Name)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, RenderAnswer{ref.Name, files})
}

// PoolHealth is the health of a pool's servers.
type PoolHealth struct {
	Pool    string         `json:"pool"`
	Servers []ServerHealth `json:"servers"`
}

func (c *call) health(kind weir.Kind) error {
	o, err := c.find(kind)
	if err != nil {
		return err
	}
	servers := c.h.opts.Status.ServerHealth(o.Metadata.Name)
	if servers == nil {
		servers = []ServerHealth{}
	}
	return c.answer(http.StatusOK, PoolHealth{o.Metadata.Name, servers})
}

// SiteCountsAnswer holds the counts of the sites that the caller may see, by name.
type SiteCountsAnswer struct {
	Sites map[string]SiteCounts `json:"sites"`
}

func (c *call) counts() error {
	if err := c.granted(weir.Viewer); err != nil {
		return err
	}
	view := c.h.opts.Store.View()
	sites := maps.Clone(c.h.opts.Status.SiteCounts())
	maps.DeleteFunc(sites, func(name string, _ SiteCounts) bool {
		o := view.Get(weir.Ref{Kind: "Site", Name: name})
		return o == nil || c.may(o) != nil
	})
	if sites == nil {
		sites = map[string]SiteCounts{}
	}
	return c.answer(http.StatusOK, SiteCountsAnswer{sites})
}

func (c *call) siteCounts(kind weir.Kind) error {
	o, err := c.find(kind)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, c.h.opts.Status.SiteCounts()[o.Metadata.Name])
}
