package api

import (
	"context"
	"net/http"
	"strconv"

	"weir"
	"weir/internal/secrets"
)

// ConfirmSource takes what people confirm of discovery sources. Many goroutines call it at once.
type ConfirmSource interface {
	// ConfirmSource has the servers go that a source has lost and that are kept, as its doubt of that number says. It is
	// a weir.Conflict when nothing is doubted, or more than that.
	ConfirmSource(ctx context.Context, name string, number int64, by, reason string) error
}

var doubtParam = param{name: "doubt", kind: "integer", doc: "The number of the doubt that is confirmed, as status.source.doubt has it; the present one when left out."}

// confirmSource takes servers out of pools, and so the right to write them: the owner's of the source's role.
func (c *call) confirmSource(kind weir.Kind) error {
	o, err := c.find(kind)
	if err != nil {
		return err
	}
	role := o.Spec.(*weir.DiscoverySource).Role
	if !c.who.Holds(weir.Owner, role) {
		return weir.Errorf(weir.Forbidden, "servers of role %q go when this is confirmed, which takes the right owner on it: %s does not have it", role, c.who.Subject)
	}
	reason, err := c.reason()
	if err != nil {
		return err
	}
	number, err := c.doubt(o)
	if err != nil {
		return err
	}
	if c.h.opts.Sources == nil {
		return weir.Errorf(weir.Unavailable, "this server watches no sources")
	}
	entry := secrets.AuditEntry{What: "confirm what a source has lost", Object: o.Ref().String(), Outcome: "accepted", Reason: reason}
	if err := c.h.opts.Sources.ConfirmSource(c.r.Context(), o.Metadata.Name, number, c.who.Subject, reason); err != nil {
		entry.Outcome, entry.Reason = "refused", err.Error()
		c.audit(entry)
		return err
	}
	c.audit(entry)
	status := &weir.SourceStatus{}
	if s := c.withStatus(o).Status; s != nil && s.Source != nil {
		status = s.Source
	}
	return c.answer(http.StatusOK, status)
}

// doubt is the number of the doubt that is confirmed.
func (c *call) doubt(o *weir.Object) (int64, error) {
	text := c.r.URL.Query().Get("doubt")
	if text == "" {
		if s := c.h.opts.Status.Status(o); s != nil && s.Source != nil && s.Source.Doubt != nil {
			return s.Source.Doubt.Number, nil
		}
		return 0, weir.Errorf(weir.Conflict, "nothing is doubted of %s", o.Ref())
	}
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number < 1 {
		return 0, queryProblem("doubt", text, "the number of a doubt, as status.source.doubt.number has it")
	}
	return number, nil
}
