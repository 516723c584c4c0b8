package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"weir/internal/api"
	"weir/internal/secrets"
)

func newRender() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "render LOADBALANCER",
		GroupID: groupLook,
		Short:   "Show the haproxy.cfg and maps that a load balancer is to have",
		Long: `Show the files that a load balancer is to have, as the control plane renders them now: haproxy.cfg, or with -f
another one, or with --dir all of them in a folder. Keys and secrets are never among them, so that haproxy -c
finds certificates missing there; the agent has HAProxy check the whole before it uses it.`,
		Example: `  weir render lb-az1-1
  weir render lb-az1-1 --list
  weir render lb-az1-1 -f maps/hosts.map
  weir render lb-az1-1 --dir /tmp/lb-az1-1`,
		Args:              exactArgs(1, "say which load balancer"),
		ValidArgsFunction: completeNames("LoadBalancer"),
	}
	file := cmd.Flags().StringP("file", "f", "haproxy.cfg", "the file to show")
	names := cmd.Flags().Bool("list", false, "list the files with their sizes")
	dir := cmd.Flags().String("dir", "", "write all files into this folder")
	_ = cmd.MarkFlagDirname("dir")
	_ = cmd.RegisterFlagCompletionFunc("file", completeFiles)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		name, err := nameOf("LoadBalancer", args[0])
		if err != nil {
			return err
		}
		answer, err := c.render(cmd, name)
		if err != nil {
			return err
		}
		switch {
		case *dir != "":
			return writeFiles(cmd, *dir, answer)
		case *names:
			listFiles(stdout(cmd), answer)
			return nil
		}
		text, ok := answer.Files[*file]
		if !ok {
			return fmt.Errorf("%s has no file %q; weir render %s --list shows which there are", name, *file, name)
		}
		_, err = io.WriteString(cmd.OutOrStdout(), text)
		return err
	}
	return cmd
}

func (c *client) render(cmd *cobra.Command, name string) (*api.RenderAnswer, error) {
	answer := new(api.RenderAnswer)
	return answer, c.get(cmd.Context(), "loadbalancers/"+name+"/render", nil, answer)
}

func listFiles(s *screen, answer *api.RenderAnswer) {
	t := &table{columns: []column{{title: "FILE"}, {title: "BYTES", right: true}, {title: "LINES", right: true}}}
	for _, name := range slices.Sorted(maps.Keys(answer.Files)) {
		text := answer.Files[name]
		t.add(words(name, fmt.Sprint(len(text)), fmt.Sprint(len(linesOf(text)))))
	}
	t.print(s)
}

// writeFiles puts the files below a folder, and nowhere else, whatever they are called.
func writeFiles(cmd *cobra.Command, dir string, answer *api.RenderAnswer) error {
	for _, name := range slices.Sorted(maps.Keys(answer.Files)) {
		if !filepath.IsLocal(name) {
			return fmt.Errorf("write files of %s: %q would be outside the folder", answer.LoadBalancer, name)
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("write files of %s: %w", answer.LoadBalancer, err)
		}
		if err := secrets.WriteFile(path, []byte(answer.Files[name]), 0o644); err != nil {
			return fmt.Errorf("write files of %s: %w", answer.LoadBalancer, err)
		}
	}
	noted(cmd.ErrOrStderr(), "%s of %s in %s", count(len(answer.Files), "file", "files"), answer.LoadBalancer, dir)
	return nil
}
