package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir"
)

// overrideFlags are what every command that moves a server by hand takes.
type overrideFlags struct {
	pool, lasts, reason, output *string
	dryRun, wait                *bool
}

func addOverrideFlags(cmd *cobra.Command) *overrideFlags {
	flags := cmd.Flags()
	f := &overrideFlags{
		pool:   flags.String("pool", "", "only in this pool; in every pool of the server when left out"),
		lasts:  flags.String("for", "1h", "how long, such as 30m, 2h or 3d; after that it ends by itself"),
		reason: flags.String("reason", "", "why, for the next person; required"),
		dryRun: addDryRunFlag(cmd),
		wait:   addWaitFlag(cmd),
	}
	f.output = addOutputFlag(cmd, "text", "json", "yaml")
	_ = cmd.RegisterFlagCompletionFunc("pool", completeNames("Pool"))
	cmd.ValidArgsFunction = completeNames("Server")
	return f
}

// run writes the override that set describes, in place of an earlier one for the same server and pool.
func (f *overrideFlags) run(cmd *cobra.Command, server string, set func(*weir.Override)) error {
	if strings.TrimSpace(*f.reason) == "" {
		return usagef("say why with --reason: the next person wants to know")
	}
	lasts, err := parseSpan(*f.lasts)
	if err != nil {
		return usagef("--for: %w", err)
	}
	if server, err = f.names(server); err != nil {
		return err
	}
	c, err := connect(cmd)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	role, err := c.roleOfServer(ctx, server, *f.pool)
	if err != nil {
		return unchanged(err)
	}
	others, err := c.overridesOf(ctx, server)
	if err != nil {
		return err
	}
	spec := &weir.Override{Server: server, Pool: *f.pool, Reason: *f.reason, ExpiresAt: c.now().UTC().Add(lasts).Truncate(time.Second)}
	set(spec)
	o := &weir.Object{Kind: "Override", Metadata: weir.Metadata{Name: overrideName(server, *f.pool), Role: role}, Spec: spec}
	body, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("write %s: %w", o.Ref(), err)
	}
	f.warn(cmd, c, o, others)
	if *f.pool != "" && c.outside(ctx, server, *f.pool) {
		noted(cmd.ErrOrStderr(), "%s is not in pool %s: this has no effect until it is.", server, *f.pool)
	}
	return write(cmd, &writes{body: body}, writeOptions{
		reason: *f.reason, dryRun: *f.dryRun, wait: *f.wait, output: *f.output,
		note: fmt.Sprintf("%s until %s (%s); weir enable %s ends it before.", describeOverride(spec), clock(spec.ExpiresAt), strings.TrimSpace(*f.lasts), server),
	})
}

// names reads the server's name, and --pool in place.
func (f *overrideFlags) names(word string) (server string, err error) {
	if server, err = nameOf("Server", word); err != nil || *f.pool == "" {
		return server, err
	}
	*f.pool, err = nameOf("Pool", *f.pool)
	return server, err
}

// warn tells of what stands in the way, or is replaced.
func (f *overrideFlags) warn(cmd *cobra.Command, c *client, o *weir.Object, others []*object) {
	for _, other := range others {
		spec := other.Spec.(*weir.Override)
		left := spec.ExpiresAt.Sub(c.now())
		if left <= 0 {
			continue
		}
		what := fmt.Sprintf("%s: %s for another %s, because %s", other.Ref(), doesText(spec), span(left), oneLine(spec.Reason))
		switch {
		case other.Metadata.Name == o.Metadata.Name:
			noted(cmd.ErrOrStderr(), "This replaces %s.", what)
		case spec.Pool == "" || *f.pool == "" || spec.Pool == *f.pool:
			noted(cmd.ErrOrStderr(), "Beside it there is %s.", what)
		}
	}
}

// outside says that a pool has no such server, as far as that can be seen: neither a member of the name nor one that
// it selects.
func (c *client) outside(ctx context.Context, server, pool string) bool {
	servers, _ := weir.KindByName("Server")
	pools, _ := weir.KindByName("Pool")
	p, err := c.one(ctx, pools, pool)
	if err != nil || p.Spec.(*weir.Pool).HasMember(server) {
		return false
	}
	o, err := c.one(ctx, servers, server)
	return err == nil && !p.Spec.(*weir.Pool).Selects(p.Metadata.Role, &o.Object)
}

func describeOverride(o *weir.Override) string {
	where := "in every pool"
	if o.Pool != "" {
		where = "in pool " + o.Pool
	}
	switch {
	case o.State == weir.StateDrain:
		return fmt.Sprintf("Server %s takes no new traffic %s", o.Server, where)
	case o.State == weir.StateMaintenance:
		return fmt.Sprintf("Server %s is in maintenance %s", o.Server, where)
	}
	return fmt.Sprintf("Server %s has weight %d %s", o.Server, *o.Weight, where)
}

// overrideName is the same for the same server and pool, so that a later command replaces what an earlier one
// said: a server has one state by hand in one place, the last.
func overrideName(server, pool string) string {
	name := server
	if pool != "" {
		name += "-in-" + pool
	}
	return fixedName(name)
}

// overridesOf gives every override of a server, expired ones too.
func (c *client) overridesOf(ctx context.Context, server string) ([]*object, error) {
	kind, _ := weir.KindByName("Override")
	all, err := c.all(ctx, kind, nil)
	if err != nil {
		return nil, err
	}
	var own []*object
	for _, o := range all.Items {
		if o.Spec.(*weir.Override).Server == server {
			own = append(own, o)
		}
	}
	return own, nil
}

// roleOfServer finds whose a server is: its own role, or of a static member the role of its pool.
func (c *client) roleOfServer(ctx context.Context, server, pool string) (string, error) {
	servers, _ := weir.KindByName("Server")
	pools, _ := weir.KindByName("Pool")
	o, err := c.one(ctx, servers, server)
	switch {
	case err == nil:
		return o.Metadata.Role, nil
	case pool != "" && (isStatus(err, http.StatusNotFound) || isStatus(err, http.StatusForbidden)):
		// The pool's owner may move its members, whoever owns them.
		p, err := c.one(ctx, pools, pool)
		if err != nil {
			return "", err
		}
		return p.Metadata.Role, nil
	case !isStatus(err, http.StatusNotFound):
		return "", err
	}
	all, err := c.all(ctx, pools, nil)
	if err != nil {
		return "", err
	}
	return roleOfMember(server, all.Items)
}

func roleOfMember(server string, pools []*object) (string, error) {
	role, found := "", []string{}
	for _, p := range pools {
		if !p.Spec.(*weir.Pool).HasMember(server) {
			continue
		}
		if len(found) > 0 && p.Metadata.Role != role {
			return "", fmt.Errorf("%q is a member of %s and of %s, which belong to different roles; say which with --pool", server, found[0], p.Metadata.Name)
		}
		role, found = p.Metadata.Role, append(found, p.Metadata.Name)
	}
	if len(found) == 0 {
		return "", fmt.Errorf("there is no server %q: no object of kind Server, and no static member of a pool that you may see", server)
	}
	return role, nil
}
