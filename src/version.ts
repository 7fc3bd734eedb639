// The version that audit events and upstream requests carry. A test keeps it equal to package.json.

export const VERSION = "0.1.0";
