package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir"
)

// completeWithin bounds what a press of the tab key waits for the control plane; mostNames what it lists.
const (
	completeWithin = 700 * time.Millisecond
	mostNames      = 200
)

const noFiles = cobra.ShellCompDirectiveNoFileComp

func completeGlobal(root *cobra.Command) {
	_ = root.RegisterFlagCompletionFunc("context", completeContexts)
	_ = root.RegisterFlagCompletionFunc("color", cobra.FixedCompletions([]string{"auto", "always", "never"}, noFiles))
}

// reach connects for a completion; there is nothing to complete when that fails.
func reach(cmd *cobra.Command) (*client, bool) {
	c, err := connect(cmd)
	if err != nil {
		return nil, false
	}
	c.timeout = completeWithin
	return c, true
}

func namesOf(cmd *cobra.Command, kind weir.Kind, prefix string) []string {
	c, ok := reach(cmd)
	if !ok {
		return nil
	}
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	list, err := c.all(ctx, kind, url.Values{"prefix": {prefix}, "limit": {fmt.Sprint(mostNames)}})
	if err != nil {
		return nil
	}
	names := make([]string, len(list.Items))
	for i, o := range list.Items {
		names[i] = o.Metadata.Name
	}
	return names
}

// completion is what cobra asks for words.
type completion = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective)

// completeNames completes the names of objects of one kind, each once.
func completeNames(kindName string) completion {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		kind, _ := weir.KindByName(kindName)
		names := namesOf(cmd, kind, typed)
		return slices.DeleteFunc(names, func(n string) bool { return slices.Contains(args, n) }), noFiles
	}
}

// completeObjects completes a kind, then names of it.
func completeObjects(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 && !strings.Contains(typed, "/") {
		return kindCompletions(typed), noFiles
	}
	if len(args) == 0 || strings.Contains(args[0], "/") {
		return completeRefs(cmd, args, typed)
	}
	kind, ok := weir.KindByWord(args[0])
	if !ok || kind.ReadOnly {
		return nil, noFiles
	}
	return completeNames(kind.Name)(cmd, args[1:], typed)
}

// completeObject completes a kind, then one name of it.
func completeObject(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 1 || len(args) == 1 && strings.Contains(args[0], "/") {
		return nil, noFiles
	}
	return completeObjects(cmd, args, typed)
}

func kindCompletions(typed string) []string {
	var list []string
	for _, k := range weir.Kinds() {
		if !k.ReadOnly && strings.HasPrefix(k.Plural, strings.ToLower(typed)) {
			list = append(list, k.Plural+"\t"+k.Doc)
		}
	}
	return list
}

// completeRefs completes Kind/name.
func completeRefs(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	word, prefix, found := strings.Cut(typed, "/")
	if !found {
		var list []string
		for _, k := range weir.Kinds() {
			if !k.ReadOnly && strings.HasPrefix(k.Name, typed) {
				list = append(list, k.Name+"/")
			}
		}
		return list, noFiles | cobra.ShellCompDirectiveNoSpace
	}
	kind, ok := weir.KindByWord(word)
	if !ok {
		return nil, noFiles
	}
	names := namesOf(cmd, kind, prefix)
	for i := range names {
		names[i] = word + "/" + names[i]
	}
	return names, noFiles
}

func completeContexts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	all, err := loadContexts()
	if err != nil {
		return nil, noFiles
	}
	return all.names(), noFiles
}

func completeRights(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return nil, noFiles
	}
	return rightWords(), noFiles
}

// completeRevisions completes the newest changes, with what they did.
func completeRevisions(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, ok := reach(cmd)
	if !ok || len(args) > 0 {
		return nil, noFiles
	}
	page := new(changeList)
	if c.get(cmd.Context(), "changes", url.Values{"limit": {"20"}}, page) != nil {
		return nil, noFiles
	}
	var list []string
	for _, ch := range page.Items {
		list = append(list, itoa(ch.Revision)+"\t"+oneLine(ch.Author+" "+whatText(ch)))
	}
	return list, noFiles | cobra.ShellCompDirectiveKeepOrder
}

// completeOverridden completes the servers that somebody moved by hand.
func completeOverridden(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	c, ok := reach(cmd)
	if !ok || len(args) > 0 {
		return nil, noFiles
	}
	kind, _ := weir.KindByName("Override")
	all, err := c.all(cmd.Context(), kind, nil)
	if err != nil {
		return nil, noFiles
	}
	var names []string
	for _, o := range all.Items {
		if name := o.Spec.(*weir.Override).Server; strings.HasPrefix(name, typed) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, noFiles
}

// completeFiles completes the files of the load balancer named before.
func completeFiles(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, ok := reach(cmd)
	if !ok || len(args) != 1 {
		return nil, noFiles
	}
	name, err := nameOf("LoadBalancer", args[0])
	if err != nil {
		return nil, noFiles
	}
	answer, err := c.render(cmd, name)
	if err != nil {
		return nil, noFiles
	}
	var names []string
	for name := range answer.Files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, noFiles
}
