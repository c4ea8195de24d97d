"""`video --ray`: many videos on several cores or machines."""
