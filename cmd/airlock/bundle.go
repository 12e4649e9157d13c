package main

import "github.com/spf13/cobra"

func (a *app) bundleCommand() *cobra.Command {
	return group("bundle", "Feeds in files, for where no network goes", a.bundleCreateCommand(), a.bundleVerifyCommand(), a.bundleRepairCommand(), a.bundleImportCommand(), a.bundleExtractCommand())
}
