package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir"
)

func newFailover() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "failover --site SITE --from ZONE --reason WHY",
		GroupID: groupOperate,
		Short:   "Take the traffic of sites out of a zone for a while",
		Long: `Take the traffic of sites out of a zone for a while: of some, of a role's, or of all, which takes an admin. The other
zones of each site take over; where none can, its traffic stays. It is a ZoneShift named after the sites and the zone,
so that a second failover replaces the first, and it ends by itself when its time is over, also when the control plane
and the agents are away.

When another zone would carry more than it can, that is told and nothing is done without --anyway.`,
		Example: `  weir failover --site www --from az1 --for 2h --reason "bad rollout 881"
  weir failover --site www --site shop --from az1 --reason "slow disks, TICKET-42" --dry-run
  weir failover --role web --from az2 --for 30m --reason "power work"
  weir failover list
  weir failover end www-out-of-az1`,
		Args: noArgs,
	}
	f := addFailoverFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return f.run(cmd) }
	cmd.AddCommand(newFailoverList(), newFailoverEnd())
	return cmd
}

func newFailoverList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List what was taken out of zones",
		Long:    "List what was taken out of zones, by whom, why, and until when; as weir get zoneshifts does.",
		Example: "  weir failover list",
		Args:    noArgs,
	}
	get := &getFlags{output: addOutputFlag(cmd, "table", "yaml", "json", "name")}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		kind, _ := weir.KindByName("ZoneShift")
		shifts, err := get.read(cmd.Context(), c, kind, nil)
		if err != nil {
			return err
		}
		return get.show(cmd, c, kind, shifts, false)
	}
	return cmd
}

func newFailoverEnd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "end NAME…",
		Short: "End failovers before their time",
		Long: `End failovers before their time: their ZoneShifts are deleted, and requests go again where they belong. Clients that
a cookie holds in another zone stay there until that ends.`,
		Example: `  weir failover end www-out-of-az1
  weir failover end www-out-of-az1 --reason "rolled back" --wait`,
		Args:              rangeArgs(1, 100, "say which; weir failover list has them"),
		ValidArgsFunction: completeNames("ZoneShift"),
	}
	reason := addReasonFlag(cmd)
	dryRun := addDryRunFlag(cmd)
	wait := addWaitFlag(cmd)
	output := addOutputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var refs []weir.Ref
		for _, word := range args {
			name, err := nameOf("ZoneShift", word)
			if err != nil {
				return err
			}
			refs = append(refs, weir.Ref{Kind: "ZoneShift", Name: name})
		}
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		if err := c.allExist(cmd.Context(), refs); err != nil {
			return err
		}
		why := *reason
		if why == "" {
			why = "end failover " + strings.Join(args, ", ")
		}
		return write(cmd, &writes{deletes: refs}, writeOptions{reason: why, dryRun: *dryRun, wait: *wait, output: *output})
	}
	return cmd
}

// failoverFlags are what a failover takes.
type failoverFlags struct {
	sites                             *[]string
	role, from, lasts, reason, output *string
	all, anyway, dryRun, wait         *bool
}

func addFailoverFlags(cmd *cobra.Command) *failoverFlags {
	flags := cmd.Flags()
	f := &failoverFlags{
		sites:  flags.StringSlice("site", nil, "a site; may be given several times"),
		role:   flags.String("role", "", "every site of a role"),
		all:    flags.Bool("all", false, "every site; for admins"),
		from:   flags.String("from", "", "the zone that their traffic leaves; required"),
		lasts:  flags.String("for", "1h", "how long, such as 30m, 2h or 3d; after that it ends by itself"),
		reason: flags.String("reason", "", "why, for the next person; required"),
		anyway: flags.Bool("anyway", false, "also when another zone would carry more than it can"),
		dryRun: addDryRunFlag(cmd),
		wait:   addWaitFlag(cmd),
	}
	f.output = addOutputFlag(cmd, "text", "json", "yaml")
	for flag, kind := range map[string]string{"site": "Site", "role": "Role", "from": "Zone"} {
		_ = cmd.RegisterFlagCompletionFunc(flag, completeNames(kind))
	}
	return f
}

// check reads names in place, and says what is missing.
func (f *failoverFlags) check() error {
	given := 0
	for _, is := range []bool{len(*f.sites) > 0, *f.role != "", *f.all} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return usagef("say whose traffic: --site, --role or --all, just one of them")
	case *f.from == "":
		return usagef("say out of which zone with --from")
	case strings.TrimSpace(*f.reason) == "":
		return usagef("say why with --reason: the next person wants to know")
	}
	for i, word := range *f.sites {
		name, err := nameOf("Site", word)
		if err != nil {
			return err
		}
		(*f.sites)[i] = name
	}
	slices.Sort(*f.sites)
	*f.sites = slices.Compact(*f.sites)
	for flag, kind := range map[*string]string{f.role: "Role", f.from: "Zone"} {
		if *flag == "" {
			continue
		}
		name, err := nameOf(kind, *flag)
		if err != nil {
			return err
		}
		*flag = name
	}
	return nil
}

// run writes the shift, in place of an earlier one of the same sites and zone.
func (f *failoverFlags) run(cmd *cobra.Command) error {
	if err := f.check(); err != nil {
		return err
	}
	lasts, err := parseSpan(*f.lasts)
	if err != nil {
		return usagef("--for: %w", err)
	}
	c, err := connect(cmd)
	if err != nil {
		return err
	}
	role, err := f.owner(cmd.Context(), c)
	if err != nil {
		return unchanged(err)
	}
	spec := &weir.ZoneShift{Sites: *f.sites, Role: *f.role, All: *f.all, Zone: *f.from, Reason: *f.reason, ExpiresAt: c.now().UTC().Add(lasts).Truncate(time.Second)}
	o := &weir.Object{Kind: "ZoneShift", Metadata: weir.Metadata{Name: shiftName(spec), Role: role}, Spec: spec}
	body, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("write %s: %w", o.Ref(), err)
	}
	if err := f.beside(cmd, c, o); err != nil {
		return err
	}
	w := &writes{body: body}
	if !*f.anyway && !*f.dryRun {
		if err := f.look(cmd, c, w, o); err != nil {
			return err
		}
	}
	return write(cmd, w, writeOptions{
		reason: *f.reason, dryRun: *f.dryRun, wait: *f.wait, output: *f.output,
		note: fmt.Sprintf("The traffic of %s leaves %s until %s (%s); weir failover end %s ends it before.", whoseText(spec), spec.Zone, clock(spec.ExpiresAt), strings.TrimSpace(*f.lasts), o.Metadata.Name),
	})
}

// owner gives the role that the shift belongs to: that of its sites; none when they have several, or none.
func (f *failoverFlags) owner(ctx context.Context, c *client) (string, error) {
	if len(*f.sites) == 0 {
		return *f.role, nil
	}
	kind, _ := weir.KindByName("Site")
	role := ""
	for i, name := range *f.sites {
		o, err := c.one(ctx, kind, name)
		if err != nil {
			return "", err
		}
		if i > 0 && o.Metadata.Role != role {
			return "", nil
		}
		role = o.Metadata.Role
	}
	return role, nil
}

// beside tells of what is replaced, and of what else is out of the zone or of others.
func (f *failoverFlags) beside(cmd *cobra.Command, c *client, o *weir.Object) error {
	kind, _ := weir.KindByName(o.Kind)
	all, err := c.all(cmd.Context(), kind, nil)
	if err != nil {
		return err
	}
	for _, other := range all.Items {
		spec := other.Spec.(*weir.ZoneShift)
		if over(spec, c.now()) {
			continue
		}
		how := "Beside it there is"
		if other.Metadata.Name == o.Metadata.Name {
			how = "This replaces"
		}
		noted(cmd.ErrOrStderr(), "%s %s: %s out of %s %s, because %s.", how, other.Ref(), whoseText(spec), spec.Zone, lasts(spec, c.now()), oneLine(spec.Reason))
	}
	return nil
}

// look shows what the shift would do before it is made, and stops where another zone would carry too much.
func (f *failoverFlags) look(cmd *cobra.Command, c *client, w *writes, o *weir.Object) error {
	c.timeout = timeoutOf(cmd, applyWithin)
	what, err := w.request("plan", url.Values{})
	if err != nil {
		return err
	}
	answer := new(applied)
	if err := c.do(cmd.Context(), what, answer); err != nil {
		return unchanged(err)
	}
	own := slices.DeleteFunc(answer.Warnings, func(p weir.Problem) bool { return p.Object != o.Ref().String() })
	if len(own) > 0 {
		s := screenOf(cmd, cmd.ErrOrStderr())
		for _, p := range own {
			s.line(s.wrapped("", s.warning("!")+" "+problemLine(s, p)))
		}
		return fmt.Errorf("%s was not made, because of what is said above; --anyway makes it all the same, --dry-run shows what it would do", o.Ref())
	}
	if *f.output == "text" && answer.Plan != nil && len(answer.Change.Objects) > 0 && len(answer.Plan.LoadBalancers) > 0 {
		s := stdout(cmd)
		s.line(s.wrapped("", "The traffic of "+whoseText(o.Spec.(*weir.ZoneShift))+" is to leave "+*f.from+"."))
		printEffects(s, answer.Plan, groupSizes(cmd), false)
		s.line("")
	}
	return nil
}

// shiftName is the same for the same sites and zone, so that a later failover replaces what an earlier one said.
func shiftName(z *weir.ZoneShift) string {
	who := "all-sites"
	switch {
	case z.Role != "":
		who = z.Role + "-sites"
	case len(z.Sites) > 0:
		who = strings.Join(z.Sites, "-and-")
	}
	return fixedName(who + "-out-of-" + z.Zone)
}

// whoseText says whose traffic is shifted.
func whoseText(z *weir.ZoneShift) string {
	switch {
	case z.All:
		return "every site"
	case z.Role != "":
		return "every site of role " + z.Role
	case len(z.Sites) == 1:
		return "site " + z.Sites[0]
	}
	return "sites " + some(z.Sites, 6)
}
