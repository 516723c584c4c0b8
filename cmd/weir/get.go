package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weir"
	"weir/internal/api"
)

func newGet() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "get KIND [NAME…]",
		GroupID: groupLook,
		Short:   "List objects, or show some",
		Long: `List the objects of a kind, or show those named. KIND is a kind, its plural or a short word: pools, Pool, lb,
vip, cert; "all" is everything but platform objects and servers. The table holds what is so, not only what is
wanted: how many load balancers have an object, what health checks see, what the access logs counted.`,
		Example: `  weir get sites
  weir get pools --role web
  weir get pool web-az1 -o yaml
  weir get lbs --watch
  weir get servers -l rack=r12 -o name
  weir get all --role web`,
		ValidArgsFunction: completeObjects,
	}
	f := new(getFlags)
	flags := cmd.Flags()
	flags.StringVar(&f.role, "role", "", "only objects of this role")
	flags.StringVarP(&f.labels, "selector", "l", "", "only objects whose labels match: team=media,tier!=test,new,!old")
	flags.BoolVarP(&f.watch, "watch", "w", false, "go on and print each object again when something about it changes")
	_ = cmd.RegisterFlagCompletionFunc("role", completeNames("Role"))
	f.output = addOutputFlag(cmd, "table", "yaml", "json", "name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("say what to get: all, %s", strings.Join(kindWords(), ", "))
		}
		if strings.EqualFold(args[0], "all") {
			return f.all(cmd, args[1:])
		}
		kind, names, err := kindAndNames(args)
		if err != nil {
			return err
		}
		if kind.ReadOnly {
			return usagef("a %s is read with weir history", kind.Name)
		}
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		if f.watch {
			return f.follow(cmd, c, kind, names)
		}
		objects, err := f.read(cmd.Context(), c, kind, names)
		if err != nil {
			return err
		}
		return f.show(cmd, c, kind, objects, len(names) > 0)
	}
	return cmd
}

type getFlags struct {
	role, labels string
	watch        bool
	output       *string
}

func (f *getFlags) query() url.Values {
	query := url.Values{}
	if f.role != "" {
		query.Set("role", f.role)
	}
	if f.labels != "" {
		query.Set("labels", f.labels)
	}
	return query
}

// read gets the objects named, or all that the flags choose.
func (f *getFlags) read(ctx context.Context, c *client, kind weir.Kind, names []string) ([]*object, error) {
	if len(names) == 0 {
		list, err := c.all(ctx, kind, f.query())
		if err != nil {
			return nil, err
		}
		return list.Items, nil
	}
	if f.role != "" || f.labels != "" {
		return nil, usagef("--role and -l choose among all objects; with names they have nothing to choose")
	}
	var objects []*object
	for _, name := range names {
		o, err := c.one(ctx, kind, name)
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return objects, nil
}

// show prints objects of one kind; named says that they were asked for by name.
func (f *getFlags) show(cmd *cobra.Command, c *client, kind weir.Kind, objects []*object, named bool) error {
	out := cmd.OutOrStdout()
	switch *f.output {
	case "name":
		for _, o := range objects {
			noted(out, "%s", o.Ref())
		}
		return nil
	case "yaml":
		return printDocuments(out, raws(objects))
	case "json":
		if named && len(objects) == 1 {
			return printJSON(out, objects[0])
		}
		return printJSON(out, map[string]any{"kind": "List", "items": raws(objects)})
	}
	if len(objects) == 0 {
		noted(cmd.ErrOrStderr(), "There are no %s%s%s.", kind.Plural, f.chosen(), unseen(cmd.Context(), c, kind, f.role))
		return nil
	}
	newTableOf(cmd.Context(), c, kind, objects).print(stdout(cmd))
	return nil
}

// unseen says after "there are no …" what else there may be, that the token may not see.
func unseen(ctx context.Context, c *client, kind weir.Kind, role string) string {
	me := new(api.WhoAmI)
	if role != "" || c.get(ctx, "whoami", nil, me) != nil {
		return ""
	}
	var roles []string
	for _, g := range me.Grants {
		if g.Role == "*" {
			return ""
		}
		roles = append(roles, g.Role)
	}
	slices.Sort(roles)
	switch roles = slices.Compact(roles); {
	case kind.Name == "Grant" || kind.Name == "Token":
		return fmt.Sprintf(" that %s may see: those of others take the right viewer on role \"*\"", me.Subject)
	case kind.Platform:
		return ""
	}
	return fmt.Sprintf(" that %s may see: that is only what belongs to %s, or to no role", me.Subject, list(roles))
}

// chosen says in words what the flags leave out.
func (f *getFlags) chosen() string {
	var parts []string
	if f.role != "" {
		parts = append(parts, "of role "+f.role)
	}
	if f.labels != "" {
		parts = append(parts, "with labels "+f.labels)
	}
	if len(parts) == 0 {
		return ""
	}
	return " " + strings.Join(parts, " ")
}

func raws(objects []*object) []json.RawMessage {
	list := make([]json.RawMessage, len(objects))
	for i, o := range objects {
		list[i] = o.raw
	}
	return list
}

// all shows every kind that services own, but servers, of which there can be very many.
func (f *getFlags) all(cmd *cobra.Command, names []string) error {
	if len(names) > 0 {
		return usagef("get all takes no names")
	}
	if f.watch {
		return usagef("--watch needs one kind")
	}
	c, err := connect(cmd)
	if err != nil {
		return err
	}
	var everything []*object
	s := stdout(cmd)
	for _, kind := range weir.Kinds() {
		if kind.ReadOnly || kind.Platform || kind.Name == "Server" {
			continue
		}
		objects, err := f.read(cmd.Context(), c, kind, nil)
		if err != nil {
			return err
		}
		everything = append(everything, objects...)
		if *f.output == "table" && len(objects) > 0 {
			s.printf("%s\n", s.title(kind.Plural))
			newTableOf(cmd.Context(), c, kind, objects).print(s)
			s.line("")
		}
	}
	if *f.output != "table" {
		return f.show(cmd, c, weir.Kind{}, everything, false)
	}
	if len(everything) == 0 {
		noted(cmd.ErrOrStderr(), "There is nothing%s yet%s.", f.chosen(), unseen(cmd.Context(), c, weir.Kind{}, f.role))
	}
	return nil
}
