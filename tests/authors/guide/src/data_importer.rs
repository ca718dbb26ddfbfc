use tcs_core::prelude::*;

#[derive(Default)]
pub struct DataImporter;

#[service]
impl OneShotService for DataImporter {
    async fn execute(&self, ctx: &Context) -> Result<()> {
        // Import data once
        self.import_data_from_file().await?;
        ctx.info("Import completed");
        Ok(())
    }
}

// ---

impl DataImporter {
    async fn import_data_from_file(&self) -> Result<()> {
        Ok(())
    }
}
