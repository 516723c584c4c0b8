package api

import (
	"context"
	"net/http"
	"time"

	"weir"
	"weir/internal/secrets"
)

// RestoreSource knows of the restore that the control plane's store comes from. Many goroutines ask it.
type RestoreSource interface {
	// Restored tells of the restore, nil when there was none. It answers from memory.
	Restored() *Restored
	// RestorePlan says what every load balancer would do if the restore were accepted now, from what each really
	// has. It changes nothing.
	RestorePlan(ctx context.Context) (RestorePlan, error)
	// AcceptRestore lets a held control plane go, for all servers of the store.
	AcceptRestore(ctx context.Context, by, reason string) (Restored, error)
}

// Restored is the restore that a control plane's store comes from.
type Restored struct {
	// BackupAt is when the backup was made, BackupRevision the last change in it, RestoredAt when it was restored.
	BackupAt       time.Time `json:"backupAt"`
	BackupRevision int64     `json:"backupRevision"`
	RestoredAt     time.Time `json:"restoredAt"`
	// Held says that nothing is sent to load balancers until the restore is accepted: they go on with what they
	// have.
	Held bool `json:"held"`
	// AcceptedAt, AcceptedBy and Reason say how that ended.
	AcceptedAt time.Time `json:"acceptedAt,omitzero"`
	AcceptedBy string    `json:"acceptedBy,omitempty"`
	Reason     string    `json:"reason,omitempty"`
}

// RestorePlan is what accepting a restore would do, load balancer by load balancer.
type RestorePlan struct {
	Restored Restored `json:"restored"`
	// Plan is of the load balancers that would change, as a plan of apply is.
	Plan PlanAnswer `json:"plan"`
	// Same are the names of those that have just what was restored.
	Same []string `json:"same"`
	// Unknown are those of which nobody knows what they have, and so what they would do.
	Unknown []RestoreUnknown `json:"unknown"`
	// Strangers are agents of load balancers that the backup does not have.
	Strangers []Stranger `json:"strangers"`
	// Certificates are those that would be shown again in the place of others, or where none of theirs is shown now:
	// they were renewed after the backup, or revoked, which the backup does not know. By name.
	Certificates []RestoreCertificate `json:"certificates"`
	// Silent are other control planes of the store that did not say what their agents have, and why.
	Silent []string `json:"silent,omitempty"`
}

// RestoreCertificate is a Certificate as the backup has it, which load balancers do not show.
type RestoreCertificate struct {
	Name   string `json:"name"`
	Issuer string `json:"issuer,omitempty"`
	// Serial is that of the certificate that would be shown again.
	Serial string `json:"serial"`
	// Now is what load balancers have of it: another, or none. It is another when some have that and others none.
	Now string `json:"now"`
}

// What load balancers have of a Certificate that a restore would have them show.
const (
	CertificateOther = "another"
	CertificateNone  = "none"
)

// RestoreUnknown is a load balancer of which nobody knows what it has.
type RestoreUnknown struct {
	Name  string `json:"name"`
	Group string `json:"group"`
	Zone  string `json:"zone"`
	// Why says why it isn't known.
	Why string `json:"why"`
}

// Stranger is an agent that shows a good certificate of a load balancer that does not exist: it was deleted, or the
// control plane was restored from a backup that is older than it.
type Stranger struct {
	Name string `json:"name"`
	// Address is where it came from last; First and Last say when.
	Address string    `json:"address"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
}

// restored gives the restore, nil when there was none.
func (h *Handler) restored() *Restored {
	if h.opts.Restore == nil {
		return nil
	}
	return h.opts.Restore.Restored()
}

func (c *call) heldBack() error {
	if r := c.h.restored(); r != nil && r.Held {
		return weir.Errorf(weir.Conflict, "the control plane was restored from the backup of %s and is held: nothing is sent to load balancers until somebody has looked at weir restore plan and run weir restore accept", r.BackupAt.UTC().Format(time.RFC3339))
	}
	return nil
}

// restorePlan shows every role's objects, as rendering does.
func (c *call) restorePlan() error {
	if !c.who.Holds(weir.Viewer, "") {
		return weir.Errorf(weir.Forbidden, "a plan of a restore is about every role's objects; reading it takes the right viewer on role \"*\", which %s does not have", c.who.Subject)
	}
	if c.h.restored() == nil {
		return weir.Errorf(weir.Conflict, "this control plane was not restored from a backup: there is no plan of that")
	}
	plan, err := c.h.opts.Restore.RestorePlan(c.r.Context())
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, plan)
}

func (c *call) acceptRestore() error {
	if !c.who.Holds(weir.Admin, "") {
		return weir.Errorf(weir.Forbidden, "accepting a restore takes the right admin on role \"*\", which %s does not have", c.who.Subject)
	}
	reason, err := c.reason()
	if err != nil {
		return err
	}
	if reason == "" {
		return &weir.Error{Kind: weir.Invalid, Message: "say why the restore is accepted", Problems: []weir.Problem{{Path: "query.reason", Message: "is missing"}}}
	}
	if r := c.h.restored(); r == nil || !r.Held {
		return weir.Errorf(weir.Conflict, "nothing is held: there is no restore to accept")
	}
	r, err := c.h.opts.Restore.AcceptRestore(c.r.Context(), c.who.Subject, reason)
	if err != nil {
		return err
	}
	c.audit(secrets.AuditEntry{What: "accept restore", Outcome: "accepted", Reason: reason})
	return c.answer(http.StatusOK, r)
}
