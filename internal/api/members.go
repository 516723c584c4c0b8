package api

import (
	"context"
	"net/http"
	"time"

	"weir"
	"weir/internal/secrets"
)

// MemberSource knows the servers of the store and, when that is embedded in them, its members. Many goroutines may
// ask it.
type MemberSource interface {
	// Store tells who there is, and who is there.
	Store(ctx context.Context) (StoreStatus, error)
	// Remove takes a member out of an embedded store for good. The error is NotFound when there is none of that
	// name, and Conflict when it can't be spared.
	Remove(ctx context.Context, name string) error
}

// StoreStatus is who runs the control plane and keeps its store.
type StoreStatus struct {
	// Servers are those that run, by name.
	Servers []ServerStatus `json:"servers"`
	// Outside says that the store is on an etcd that others look after; then Members is empty.
	Outside bool `json:"outside,omitempty"`
	// Members of an embedded store, by name. More than half of those that vote must be healthy for anything to be
	// changed.
	Members []MemberStatus `json:"members,omitempty"`
	// Sealing is which key seals secrets; absent while that is not known.
	Sealing *SealingStatus `json:"sealing,omitempty"`
}

// SealingStatus is which key seals secrets, and how far those that older keys have sealed are sealed anew. Keys are named
// by ids, which tell nothing of them.
type SealingStatus struct {
	// Key is the key that seals, Since when it began to.
	Key   string    `json:"key"`
	Since time.Time `json:"since"`
	// Older are the keys under which something may still be sealed: servers need them, too. None is left once all is
	// under Key.
	Older []string `json:"older,omitempty"`
	// Of Total secrets, Done have been looked at.
	Total int64 `json:"total,omitempty"`
	Done  int64 `json:"done,omitempty"`
	// Finished is when all was under Key.
	Finished time.Time `json:"finished,omitzero"`
	// Stuck says which secret can't be sealed anew, and why.
	Stuck string `json:"stuck,omitempty"`
}

// ServerStatus is a server that runs.
type ServerStatus struct {
	Name    string    `json:"name"`
	URL     string    `json:"url"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	// SealingKeys are the keys of the server's key file, in its order. A key seals once it is the first of all servers.
	SealingKeys []string `json:"sealingKeys,omitempty"`
}

// MemberStatus is one member of an embedded store.
type MemberStatus struct {
	Name string `json:"name"`
	// URL is where the other members reach it; empty when it takes none.
	URL string `json:"url,omitempty"`
	// Healthy says that the server it is in runs and was heard within seconds.
	Healthy bool `json:"healthy"`
	// Leader says that it orders the changes; one does. Learner that it catches up and has no vote yet.
	Leader  bool `json:"leader,omitempty"`
	Learner bool `json:"learner,omitempty"`
	// Server is the URL of the server it is in, while that runs.
	Server string `json:"server,omitempty"`
}

func (c *call) members() (MemberSource, error) {
	if c.h.opts.Members == nil {
		return nil, weir.Errorf(weir.NotFound, "the control plane does not know of other servers")
	}
	return c.h.opts.Members, nil
}

// storeStatus shows addresses of machines, so it is for those who may see everything.
func (c *call) storeStatus() error {
	if !c.who.Holds(weir.Viewer, "") {
		return weir.Errorf(weir.Forbidden, "seeing the servers takes the right viewer on role \"*\", which %s does not have", c.who.Subject)
	}
	source, err := c.members()
	if err != nil {
		return err
	}
	status, err := source.Store(c.r.Context())
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, status)
}

func (c *call) removeMember() error {
	if !c.who.Holds(weir.Admin, "") {
		return weir.Errorf(weir.Forbidden, "removing a member of the store takes the right admin, which %s does not have", c.who.Subject)
	}
	source, err := c.members()
	if err != nil {
		return err
	}
	name := c.r.PathValue("name")
	if err := source.Remove(c.r.Context(), name); err != nil {
		return err
	}
	c.audit(secrets.AuditEntry{What: "remove store member", Object: name, Outcome: "accepted", Reason: c.text("reason")})
	status, err := source.Store(c.r.Context())
	if err != nil {
		// It may have been this server's own member: it is done all the same.
		status = StoreStatus{Servers: []ServerStatus{}}
	}
	return c.answer(http.StatusOK, status)
}
