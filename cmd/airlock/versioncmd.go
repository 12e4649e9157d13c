package main

import (
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

type programDoc struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source, where the build knew it
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of this program",
		Example: `  airlock version
  airlock version -f json`,
		Args: exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			d := programDoc{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						d.Revision = s.Value
					}
				}
			}
			return a.show(d, func(w io.Writer) {
				pairs(w, [2]string{"airlock", d.Version}, [2]string{"revision", dash(d.Revision)}, [2]string{"go", d.Go}, [2]string{"platform", d.Platform})
			})
		},
	}
}
