//! What senders were seen to post that their pages do not show.
