use crate::provider::open_enum::open_enum;

open_enum! {
    /// How far a group, an image or a model's run has come (interface `StatusType` of the client app).
    ///
    /// Words that are not known yet are kept as they came.
    pub enum Status {
        /// All is there. A group without images is completed, too.
        Completed = "completed",
        /// More will come.
        Processing = "processing",
        /// A part failed, the rest is there.
        PartialFailure = "partial_failure",
        /// Not explained.
        Generating = "generating",
        /// Nothing will come.
        Failed = "failed",
    }
}
